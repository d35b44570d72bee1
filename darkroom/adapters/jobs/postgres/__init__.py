"""The job record in PostgreSQL, 14 or newer: durable, and open to SQL.

    migrations/     the tables, and one function for each change, called as one statement
    schema.py       applies the migrations
    roles.py        what each function's role may do
    connections.py  connections with deadlines, for threads
    store.py        the JobStore; it makes the calls and translates the answers
    erasing.py      cancelling and erasing, a part of the store
    owed.py         the webhooks that are owed, a part of the store
    upkeep.py       what the sweep does beside it: adds up counts, makes and drops partitions
    reading.py      the JobReader, for event loops
    notices.py      the JobNotices, by LISTEN
    records.py      a record from a row

psycopg serves both threads and event loops with the same SQL. Its pool (psycopg_pool) is not used. It connects in
threads of its own, three for each worker process that needs one connection; a caller waits until its timeout, and is
told that there was no connection, but not that the server refused it or asks for another password; and it tries again
after growing pauses, which a caller that comes when the server is back would have to wait for. Here the caller
connects, and has the server's own answer at once. A pool before the server, such as PgBouncer, is another matter
(docs/postgres.md).
"""
