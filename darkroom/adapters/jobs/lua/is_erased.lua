#!lua flags=no-writes,no-cluster
-- Whether the job of this id was erased within the last day.
return is_erased(ARGV[2]) and 1 or 0
