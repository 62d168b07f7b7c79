-- KEYS[1]: a lock. ARGV[1]: who holds it. ARGV[2]: milliseconds to hold it on, 0 to let go.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if ARGV[2] == '0' then return redis.call('DEL', KEYS[1]) end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
