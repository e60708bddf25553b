-- done: after a commit, trim what PostgreSQL now has and tell the caches. Idempotent: all values are absolute.
--
-- KEYS  1 epoch   2 inbox   3 rev   4 line   5 held   6 seats
-- ARGV  1 epoch of the commit   2 last entry taken, '' if none   3 the rev that it made   4 the changes, as JSON
--       {waiting: [[room, score]...], held: [room...], gone: [room...], seats: {agent: seats}}
-- `rev` is '~N' while change N is under way and 'N' once it was told. Anything else here means that another change
-- overtook this one or died before it was told: the counters are not to be believed until the sweep rewrites them.
if redis.call('GET', KEYS[1]) == ARGV[1] and ARGV[2] ~= '' then
  redis.call('XTRIM', KEYS[2], 'MINID', ARGV[2])
  redis.call('XDEL', KEYS[2], ARGV[2])
end
local rev = redis.call('GET', KEYS[3])
if rev and (rev == '~' .. ARGV[3] or string.match(rev, '^~m%x+:' .. ARGV[3] .. '$')) then
  redis.call('SET', KEYS[3], string.sub(rev, 2))
else
  redis.call('DEL', KEYS[3])
end
local changes = cjson.decode(ARGV[4])
for _, entry in ipairs(changes.waiting) do
  redis.call('ZADD', KEYS[4], entry[2], entry[1])
  redis.call('SREM', KEYS[5], entry[1])
end
for _, room in ipairs(changes.held) do
  redis.call('ZREM', KEYS[4], room)
  redis.call('SADD', KEYS[5], room)
end
for _, room in ipairs(changes.gone) do
  redis.call('ZREM', KEYS[4], room)
  redis.call('SREM', KEYS[5], room)
end
for agent, seats in pairs(changes.seats) do redis.call('HSET', KEYS[6], agent, seats) end
return 1
