#!lua flags=allow-oom,no-cluster
-- Forget what is owed for an erased job.
return drop_owed(ARGV[2])
