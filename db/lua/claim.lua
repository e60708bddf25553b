-- claim: a job that was taken off the queue. It is gone then, whatever it was; nothing of it is believed as yet.
--
-- KEYS  1 the job   2 the queue of jobs
-- ARGV  1 the longest data that a job of ours has
-- Gives {its data, '' if there is no such job or none such as we make; jobs that still wait}
local data = ''
if redis.call('TYPE', KEYS[1]).ok == 'hash' and redis.call('HSTRLEN', KEYS[1], 'data') <= tonumber(ARGV[1]) then
  data = redis.call('HGET', KEYS[1], 'data') or ''
end
redis.call('UNLINK', KEYS[1])
return {data, redis.call('LLEN', KEYS[2])}
