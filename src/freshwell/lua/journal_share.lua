-- Say that a process flushes, and count those that have said so lately. May be repeated.
-- KEYS     1 flushers
-- ARGV     1 token of the process   2 for how many ms its word holds
-- returns  how many there are
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
-- Allowed where memory is full, and so is what comes behind it.
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - tonumber(ARGV[2]))
redis.call('ZADD', KEYS[1], now, ARGV[1])
return redis.call('ZCARD', KEYS[1])
