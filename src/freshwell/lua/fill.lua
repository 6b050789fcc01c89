-- Store a loaded value while the lease's token still stands. The frame is built by the client;
-- only its two times are written here, from the server's clock.
-- KEYS[1]  the entry
-- ARGV     1 token of the lease, or '' to store whatever stands there   2 the whole frame
--          3 fresh_ms   4 keep_ms: how long the entry exists at all
-- returns  1 stored, now or by an earlier try of the same fill; 0 refused: the lease is void
local key, token = KEYS[1], ARGV[1]
if token ~= '' then
  local head = redis.pcall('GETRANGE', key, 0, 23)
  if type(head) ~= 'string' or #head ~= 24 or string.sub(head, 9, 16) ~= token then return 0 end
  if string.sub(head, 4, 4) == 'V' and struct.unpack('>I8', head, 17) == 0 then return 1 end
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('SET', key, ARGV[2], 'PX', ARGV[4])
redis.call('SETRANGE', key, 24, struct.pack('>I8I8', now + tonumber(ARGV[3]), now))
return 1
