-- sort: one webhook from `unsorted` (kept while the tenants were unknown) into its tenant's inbox, with its old place.
--
-- KEYS  1 unsorted   2 epoch   3 inbox
-- ARGV  1 the entry's id   2 a random epoch, used if there is none   3.. the entry's fields
-- Gives 1 if it was moved, 0 if it is gone already
if redis.call('XDEL', KEYS[1], ARGV[1]) == 0 then return 0 end
redis.call('SET', KEYS[2], ARGV[2], 'NX')
redis.call('XADD', KEYS[3], '*', 'at', ARGV[1], unpack(ARGV, 3))
return 1
