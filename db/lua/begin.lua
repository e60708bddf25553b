-- begin: a change that takes nothing from the inbox is under way; until `done` the counters are not believed.
--
-- KEYS  1 rev
-- ARGV  1 the rev that it will make
-- As in take.lua.
local rev, before = redis.call('GET', KEYS[1]), string.format('%.0f', ARGV[1] - 1)
local mark = (rev == before and '') or (rev and string.match(rev, '^(m%x+:)' .. before .. '$'))
redis.call('SET', KEYS[1], '~' .. (mark and mark .. ARGV[1] or '?'))
return 1
