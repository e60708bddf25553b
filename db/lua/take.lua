-- take: everything that a decision needs from Redis, at one instant, read while the tenant's row is locked. Nothing
-- leaves the inbox before PostgreSQL has committed; the counters are not believed again before `done`.
--
-- KEYS  1 epoch   2 inbox   3 rev   4.. the admin's limit keys
-- ARGV  1 a random epoch, used if there is none   2 the ledger's epoch   3 last entry that the ledger has
--       4 most entries to give   5 the rev that this decision will make
-- Gives {epoch, entries, values of the limit keys}; entries from the beginning where the epoch is not the ledger's
local epoch = redis.call('GET', KEYS[1])
if not epoch then
  epoch = ARGV[1]
  redis.call('SET', KEYS[1], epoch)
end
-- Only what follows a told change may end in believed counters: '~?' after one that was lost, or untold as yet.
local told = redis.call('GET', KEYS[3]) == string.format('%.0f', ARGV[5] - 1)
redis.call('SET', KEYS[3], '~' .. (told and ARGV[5] or '?'))
local from = epoch == ARGV[2] and '(' .. ARGV[3] or '-'
local entries = redis.call('XRANGE', KEYS[2], from, '+', 'COUNT', ARGV[4])
local limits = {}
for from_key = 4, #KEYS, 1000 do  -- MGET: a key of another type is no value, no error; unpack has a bound
  local values = redis.call('MGET', unpack(KEYS, from_key, math.min(from_key + 999, #KEYS)))
  for i = 1, #values do limits[from_key - 4 + i] = values[i] end
end
return {epoch, entries, limits}
