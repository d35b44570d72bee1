-- Jobs that are on their way to another store (adapters/jobs/moving). Shared by the scripts that take them out.
--
--   darkroom:moving:<id>             hash: the job's record as it was, and in fields that begin with ">" what was beside it;
--                                    no other script knows this key
--   darkroom:moving                  set: the ids of those hashes
--   darkroom:moved                   there as soon as the other store may have accepted a job: this one accepts no more
--   darkroom:moving-statistics       the counts on their way, and their token in darkroom:moving-statistics-token

local MOVING = 'darkroom:moving'
local MOVED = 'darkroom:moved'
local KEEPERS_OWED = 'darkroom:keepers-owed'

local function moving(id)
  return 'darkroom:moving:' .. id
end
