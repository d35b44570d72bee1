#!lua flags=no-writes,no-cluster
-- The unfinished jobs, and the age of the oldest.
return unfinished_jobs()
