-- Store a loaded value while the lease's token still stands. The frame is built by the client;
-- only its two times are written here, from the server's clock.
-- KEYS[1]  the entry
-- ARGV     1 token of the lease, or '' to store whatever stands there but a writer's intent
--          2 the whole frame   3 fresh_ms   4 keep_ms: how long the entry exists at all
-- returns  1 stored, now or by an earlier try of the same fill
--          0 refused: the lease is void, or a writer has announced a change
local key, token = KEYS[1], ARGV[1]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local head = redis.pcall('GETRANGE', key, 0, 51)
local ours = type(head) == 'string' and #head == 52
    and string.sub(head, 1, 3) == string.sub(ARGV[2], 1, 3)
    and string.sub(head, 45, 52) == string.sub(ARGV[2], 45, 52)
local state = ours and string.sub(head, 4, 4) or ''
local lease_until = ours and struct.unpack('>I8', head, 17) or 0

if state == 'W' and lease_until > now then
  -- The writers may not store theirs either: this one may be newer.
  if token == '' then redis.call('SETRANGE', key, 7, '\1') end
  return 0
end
if token ~= '' then
  if not ours or string.sub(head, 9, 16) ~= token then return 0 end
  if state == 'V' and lease_until == 0 then return 1 end
end
redis.call('SET', key, ARGV[2], 'PX', ARGV[4])
redis.call('SETRANGE', key, 24, struct.pack('>I8I8', now + tonumber(ARGV[3]), now))
return 1
