#!lua flags=allow-oom,no-cluster
-- Count jobs that admission refused: the limit's name, and how many they were.
count(tonumber(ARGV[3]), JOBS_REFUSED, ARGV[2])
return { 'done' }
