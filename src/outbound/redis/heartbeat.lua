-- KEYS[1]: the replicas seen lately, by the server's time. ARGV[1]: this replica.
-- Returns how many there are, and the server's time in milliseconds.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZADD', KEYS[1], string.format('%.0f', now), ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now - 10000))
redis.call('PEXPIRE', KEYS[1], 10000)
return {redis.call('ZCARD', KEYS[1]), now}
