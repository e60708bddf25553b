-- push: one checked webhook into its tenant's inbox, always; the answer's status comes from caches, as a courtesy.
-- The only step of the receiver. Running it twice stores the webhook twice, which is harmless: duplicates die in
-- PostgreSQL.
--
-- KEYS  1 tenants   hash    tenant -> digest of its own webhook secret ('' none); '*' -> number of tenants
--       2 unsorted  stream  webhooks of unknown tenants while `tenants` is gone (Redis was emptied)
--       3 epoch     string  the life of this Redis, as this tenant knows it
--       4 inbox     stream  what the workers have not taken over yet
--       5 ticket    string  id of the job that was asked for
--       6 line      zset    cache: waiting rooms by arrival
--       7 held      set     cache: rooms with a seat
--       8 named     hash    tenant -> version of its rules ':' what they ask about a customer; nothing where it has none
-- ARGV  1 tenant   2 'arrived' | 'resolved' | 'probe' (nothing is stored, but something is written)   3 room
--       4 class   5 source   6 latest service id or ''
--       7 resolved service id or ''   8 first comment id or ''
--       9 a random epoch, used if there is none   10 a job id, used if no ticket is out
--       11 '1': the tenant is named, '0': taken from the settings
--       12 '1': the installation's own webhook secret was given or none is set   13 digest of the given secret, or of
--          each of its readings, with spaces
--       14 most entries of an inbox   15 most entries of unsorted   16 seconds that a ticket lasts
--       17 facts of the customer, JSON or ''   18 what they were picked by: the value in `named`, '' for none, '*' for any
-- Gives {word, position or false, '1' if the caller must enqueue the job}
--       word: queued already_waiting already_assigned noted | unsorted | unknown denied ambiguous full
--             | renamed (nothing is stored: the rules ask about something else, in place of the position)
--             of a probe: ready | unpublished (no worker has told yet which tenants there are)
local tenant, kind, room = ARGV[1], ARGV[2], ARGV[3]
local fields = {'tenant', tenant, 'kind', kind, 'room', room, 'class', ARGV[4], 'source', ARGV[5],
                'latest', ARGV[6], 'service', ARGV[7], 'first', ARGV[8]}
if ARGV[17] ~= '' then
  fields[#fields + 1] = 'facts'
  fields[#fields + 1] = ARGV[17]
end

if kind == 'probe' then
  redis.call('SET', KEYS[3], ARGV[9], 'EX', 10)
  return {redis.call('EXISTS', KEYS[1]) == 1 and 'ready' or 'unpublished', false, '0'}
end

local digest = redis.call('HGET', KEYS[1], tenant)
if not digest then
  if redis.call('EXISTS', KEYS[1]) == 1 then return {'unknown', false, '0'} end
  if redis.call('XLEN', KEYS[2]) >= tonumber(ARGV[15]) then return {'full', false, '0'} end
  for _, extra in ipairs({'named', ARGV[11], 'open', ARGV[12], 'digest', ARGV[13]}) do fields[#fields + 1] = extra end
  redis.call('XADD', KEYS[2], '*', unpack(fields))
  return {'unsorted', false, '0'}
end
if (digest == '' and ARGV[12] ~= '1') or (digest ~= '' and not string.find(ARGV[13], digest, 1, true)) then return {'denied', false, '0'} end
if ARGV[11] ~= '1' and tonumber(redis.call('HGET', KEYS[1], '*') or '1') > 1 then return {'ambiguous', false, '0'} end
if redis.call('XLEN', KEYS[4]) >= tonumber(ARGV[14]) then return {'full', false, '0'} end
if kind == 'arrived' and ARGV[18] ~= '*' then
  local named = redis.call('HGET', KEYS[8], tenant) or ''
  if named ~= ARGV[18] then return {'renamed', named, '0'} end
end

redis.call('SET', KEYS[3], ARGV[9], 'NX')
local id = redis.call('XADD', KEYS[4], '*', unpack(fields))
local ticket = redis.call('SET', KEYS[5], ARGV[10], 'NX', 'EX', ARGV[16]) and '1' or '0'

if kind == 'resolved' then
  redis.call('ZREM', KEYS[6], room)
  redis.call('SREM', KEYS[7], room)
  return {'noted', false, ticket}
end
if redis.call('SISMEMBER', KEYS[7], room) == 1 then return {'already_assigned', false, ticket} end
local ms, seq = string.match(id, '(%d+)-(%d+)')
local added = redis.call('ZADD', KEYS[6], 'NX', string.format('%.0f', ms * 1000 + math.min(seq, 999)), room)
return {added == 1 and 'queued' or 'already_waiting', redis.call('ZRANK', KEYS[6], room) + 1, ticket}
