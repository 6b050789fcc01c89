-- Void what stands on one entry. Plain invalidation needs no script: it is SET of a tombstone.
-- KEYS[1]  the entry
-- ARGV     1 mode: 'expire' ends freshness and keeps the body for those who accept stale;
--                  'release' gives the caller's own lease back
--          2 token of the lease ('release')   3 tombstone frame   4 tombstone_ms
-- returns  1 something changed, 0 nothing to do
local key, mode = KEYS[1], ARGV[1]
local head = redis.pcall('GETRANGE', key, 0, 31)
if type(head) ~= 'string' or #head ~= 32 or string.sub(head, 1, 3) ~= string.sub(ARGV[3], 1, 3) then
  return 0
end
local state, owner = string.sub(head, 4, 4), string.sub(head, 9, 16)
local lease_until, fresh_until = struct.unpack('>I8I8', head, 17)
local no_lease = string.rep('\0', 16)

if mode == 'release' then
  if owner ~= ARGV[2] or lease_until == 0 then return 0 end
  if state == 'V' then redis.call('SETRANGE', key, 8, no_lease) else redis.call('DEL', key) end
  return 1
end

if state == 'V' then
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  redis.call('SETRANGE', key, 8, no_lease .. struct.pack('>I8', math.min(fresh_until, now)))
  return 1
end
if state == 'L' then
  redis.call('SET', key, ARGV[3], 'PX', ARGV[4])
  return 1
end
return 0
