-- name: what the rules of a tenant ask about a customer, for the receivers; never what an older version asks over what a
-- newer one does, so that who has not seen the newer one yet takes nothing back.
--
-- KEYS  1 named  hash  tenant -> '<version>:<JSON>'
-- ARGV  1 tenant   2 version   3 the value
-- Gives 1 if it is there now, 0 if a newer one is
local known = redis.call('HGET', KEYS[1], ARGV[1]) or ''
local version = tonumber(string.match(known, '^(%d+):') or '0')
if version > tonumber(ARGV[2]) then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
return 1
