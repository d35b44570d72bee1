"""Moves jobs from Redis to PostgreSQL while the pipeline runs.

    rows.py      a row of PostgreSQL from a record of Redis; pure
    source.py    takes jobs out of Redis
    mover.py     delivers what was taken; moves all, for `darkroom jobs move`
    store.py     the JobStore of functions meanwhile
    owed.py      the webhooks that are owed, a part of the store
    reading.py   the JobReader and the JobNotices of functions meanwhile
    merging.py   lists and numbers of both stores as one; pure

A job is in one store at a time. It leaves Redis in one atomic step, in which its record becomes one that is on its way
and that no other script can find; and it arrives in PostgreSQL in one transaction, which does nothing if the job is
there already. Whoever needs a job that is on its way delivers it, so that a mover may die at any point. Its fence, its
lease and its claim go with it: a worker that has the job under way ends it in PostgreSQL.

New jobs go to PostgreSQL. Before the first one, and with each one, the functions ask Redis which of the requests it
knows. The same step makes Redis refuse new jobs, so no request can be accepted by both.
"""
