-- Become the owner of a shard, remain it, or give it back. May be repeated.
-- KEYS     1 owner
-- ARGV     1 token of the caller   2 lease_ms; 0: give back
-- returns  1 the caller owns it, or has given it back; 0 it is not the caller's
local holder = redis.call('GET', KEYS[1])
local lease_ms = tonumber(ARGV[2])
if holder and holder ~= ARGV[1] then return 0 end
if lease_ms == 0 then return redis.call('DEL', KEYS[1]) end
-- A write first that is allowed where memory is full, and may do nothing: so is the one behind
-- it. Nobody could flush otherwise, and there would never be room again.
redis.call('PEXPIRE', KEYS[1], lease_ms)
if not holder then redis.call('SET', KEYS[1], ARGV[1], 'PX', lease_ms) end
return 1
