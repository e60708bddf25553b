-- own: which installation this database number belongs to; nobody's becomes the asker's. Always a write, though mostly
-- one that changes nothing: who is full, read-only or not allowed to says so here.
--
-- KEYS  1 installation   2 tenants   3 unsorted   (all three: a Cluster refuses keys of several slots)
-- ARGV  1 the asker's id   2 '1': it becomes the asker's whoever has it
-- Gives the id that has it now
local held = redis.call('TYPE', KEYS[1]).ok == 'string' and redis.call('GET', KEYS[1]) or ''
if ARGV[2] == '1' or #held ~= 16 or not string.match(held, '^%x+$') then redis.call('UNLINK', KEYS[1]) end
redis.call('SET', KEYS[1], ARGV[1], 'NX')
return redis.call('GET', KEYS[1])
