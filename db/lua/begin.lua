-- begin: a change that takes nothing from the inbox is under way; until `done` the counters are not believed.
--
-- KEYS  1 rev
-- ARGV  1 the rev that it will make
-- Only what follows a told change may end in believed counters: '~?' after one that was lost, or untold as yet.
local told = redis.call('GET', KEYS[1]) == string.format('%.0f', ARGV[1] - 1)
redis.call('SET', KEYS[1], '~' .. (told and ARGV[1] or '?'))
return 1
