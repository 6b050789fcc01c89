-- Forget a dead letter.
-- KEYS     1 dead   2 deadkeys
-- ARGV     1 its sequence   2 the name of its entry
-- returns  1 done, 0 there is none
if redis.call('HDEL', KEYS[1], ARGV[1]) == 0 then return 0 end
local mark = redis.call('HGET', KEYS[2], ARGV[2])
if mark and string.sub(mark, 1, 20) <= ARGV[1] then
  local others = tonumber(string.sub(mark, 22)) - 1
  if others > 0 then
    redis.call('HSET', KEYS[2], ARGV[2], string.sub(mark, 1, 21) .. others)
  else
    redis.call('HDEL', KEYS[2], ARGV[2])
  end
end
return 1
