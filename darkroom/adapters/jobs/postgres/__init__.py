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

psycopg serves both threads and event loops with the same SQL. Its pool is not used: it has threads of its own, which do
not survive a fork, and it tells a caller that no connection was to be had, but not why.
"""
