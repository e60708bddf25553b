-- remind: what the ledger says about some rooms, told again; run while the tenant's row is locked.
--
-- KEYS  1 rev   2 inbox   3 line   4 held   5 seats
-- ARGV  1 the ledger's rev   2 the rooms, as JSON {waiting: [[room, score]...], held: [room...], gone: [room...]}
--       3 the seats of all agents, as JSON {agent: seats}, '' to leave them alone
--       4 'first' and 'last' of the steps, or ''   5 a random word of whoever mends, in hex
-- Gives how many entries were wrong though the caches passed for true and nothing was under way.
-- From the first step to the last each change marks `rev` as it would for caches that are believed, with an 'm' and the word
-- before its number. If none of them overlapped another or was lost, all that the steps left alone is right, too, and is
-- believed. Of two who mend at once only the later one can end in belief: what was lost between them the first has not read.
if ARGV[4] == 'first' and redis.call('GET', KEYS[1]) ~= ARGV[1] then redis.call('SET', KEYS[1], 'm' .. ARGV[5] .. ':' .. ARGV[1]) end
local believed = redis.call('GET', KEYS[1]) == ARGV[1] and redis.call('XLEN', KEYS[2]) == 0
local rooms, wrong = cjson.decode(ARGV[2]), 0
for _, entry in ipairs(rooms.waiting) do
  wrong = wrong + (redis.call('ZSCORE', KEYS[3], entry[1]) and 0 or 1) + redis.call('SREM', KEYS[4], entry[1])
  redis.call('ZADD', KEYS[3], entry[2], entry[1])
end
for _, room in ipairs(rooms.held) do
  wrong = wrong + redis.call('ZREM', KEYS[3], room) + redis.call('SADD', KEYS[4], room)
end
for _, room in ipairs(rooms.gone) do
  wrong = wrong + redis.call('ZREM', KEYS[3], room) + redis.call('SREM', KEYS[4], room)
end
if ARGV[3] ~= '' then
  local seats, known = cjson.decode(ARGV[3]), redis.call('HGETALL', KEYS[5])
  for i = 1, #known, 2 do
    if not seats[known[i]] then redis.call('HDEL', KEYS[5], known[i]) end
  end
  for agent, number in pairs(seats) do
    local before = redis.call('HGET', KEYS[5], agent)
    if (before or '0') ~= number then wrong = wrong + 1 end
    if before ~= number then redis.call('HSET', KEYS[5], agent, number) end
  end
end
if ARGV[4] == 'last' and redis.call('GET', KEYS[1]) == 'm' .. ARGV[5] .. ':' .. ARGV[1] then redis.call('SET', KEYS[1], ARGV[1]) end
return believed and wrong or 0
