-- take: everything that a decision needs from Redis, at one instant, read while the tenant's row is locked. Nothing
-- leaves the inbox before PostgreSQL has committed; the counters are not believed again before `done`.
--
-- KEYS  1 epoch   2 inbox   3 rev
-- ARGV  1 a random epoch, used if there is none   2 the ledger's epoch   3 last entry that the ledger has
--       4 most entries to give   5 the rev that this decision will make
--       6 the admin's limit keys, as JSON   7 digest of their values that the ledger goes by, '' if none
-- Gives {epoch, entries, digest of the limits, their values}; entries from the beginning where the epoch is not the
-- ledger's, no values where nothing has changed for it.
-- The limit keys are not among KEYS: thousands of arguments would cost more than all the rest. They carry no tag, so a
-- Cluster could not serve them either way.
local epoch = redis.call('GET', KEYS[1])
if not epoch then
  epoch = ARGV[1]
  redis.call('SET', KEYS[1], epoch)
end
-- Only what follows a told change may end in believed counters: '~?' after one that was lost, or untold as yet. 'm…:':
-- the caches are being mended (see remind.lua), and this change is one of those that are told meanwhile.
local rev, before = redis.call('GET', KEYS[3]), string.format('%.0f', ARGV[5] - 1)
local mark = (rev == before and '') or (rev and string.match(rev, '^(m%x+:)' .. before .. '$'))
redis.call('SET', KEYS[3], '~' .. (mark and mark .. ARGV[5] or '?'))
local from = epoch == ARGV[2] and '(' .. ARGV[3] or '-'
local entries = redis.call('XRANGE', KEYS[2], from, '+', 'COUNT', ARGV[4])
local keys, found, packed = cjson.decode(ARGV[6]), {}, {}
for from_key = 1, #keys, 1000 do  -- MGET: a key of another type is no value, no error; unpack has a bound
  found[#found + 1] = redis.call('MGET', unpack(keys, from_key, math.min(from_key + 999, #keys)))
  packed[#packed + 1] = cmsgpack.pack(found[#found])
end
local digest = redis.sha1hex(table.concat(packed))
if epoch == ARGV[2] and digest == ARGV[7] then return {epoch, entries, digest, false} end
local limits = {}
for _, values in ipairs(found) do
  for i = 1, #values do limits[#limits + 1] = values[i] end
end
return {epoch, entries, digest, limits}
