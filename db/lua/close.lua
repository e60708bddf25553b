-- close: the job under way has looked; its ticket ends here, unless something came while it ran.
--
-- KEYS  1 ticket   2 inbox   3 the queue of jobs
-- ARGV  1 the run's id   2 seconds that a ticket lasts
-- Gives {'closed' | 'more' (webhooks came) | 'again' (it was asked to look again), jobs that wait}. Not closed: the
-- ticket is still out, so nobody enqueues another job, and whoever holds it has to look.
local out, waiting = redis.call('GET', KEYS[1]), redis.call('LLEN', KEYS[3])
if out == 'again-' .. ARGV[1] then
  redis.call('SET', KEYS[1], 'run-' .. ARGV[1], 'EX', ARGV[2])
  return {'again', waiting}
end
if redis.call('XLEN', KEYS[2]) > 0 then return {'more', waiting} end
if out == 'run-' .. ARGV[1] then redis.call('DEL', KEYS[1]) end
return {'closed', waiting}
