-- ask: a ticket for a tenant, unless one is out. A job that is under way looks once more instead.
--
-- KEYS  1 ticket
-- ARGV  1 a job id, used if no ticket is out   2 seconds that a ticket lasts
-- Gives 1 if the caller must enqueue the job
local out = redis.call('GET', KEYS[1])
if not out then
  redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
  return 1
end
if string.sub(out, 1, 4) == 'run-' then redis.call('SET', KEYS[1], 'again-' .. string.sub(out, 5), 'KEEPTTL') end
return 0
