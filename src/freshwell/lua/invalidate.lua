-- Void what stands on one key: an entry, or a tag's version. A writer's intent stays, and is told
-- that another change fell into its time, so that no writer stores its value.
-- KEYS[1]  the key
-- ARGV     1 mode: 'void'    replaces whatever stands there by ARGV[3]; of a tag's version, it
--                            keeps the latest time until which writers are busy
--                  'busy'    prolongs that time and nothing else
--                  'expire'  ends freshness and keeps the body for those who accept stale
--                  'release' gives the caller's own lease back
--                  'drop'    removes the value with it
--                  'rest'    leaves in its place for how long the source is left alone, having failed
--          2 token of the lease ('release', 'drop', 'rest')   3 frame to leave   4 for how many ms
--          5 for how many ms from now writers are busy ('void', 'busy')
-- returns  1 something changed, 0 nothing to do
local key, mode = KEYS[1], ARGV[1]
local head = redis.pcall('GETRANGE', key, 0, 51)
local ours = type(head) == 'string' and #head == 52
    and string.sub(head, 1, 3) == string.sub(ARGV[3], 1, 3)
    and string.sub(head, 45, 52) == string.sub(ARGV[3], 45, 52)
local state, owner, lease_until, fresh_until = '', '', 0, 0
if ours then
  state, owner = string.sub(head, 4, 4), string.sub(head, 9, 16)
  lease_until, fresh_until = struct.unpack('>I8I8', head, 17)
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local leased = mode == 'release' or mode == 'drop' or mode == 'rest'
if state == 'W' and lease_until > now and not leased then
  redis.call('SETRANGE', key, 7, '\1')
  return 1
end
local busy_ms = tonumber(ARGV[5] or '0')
if mode == 'void' then
  redis.call('SET', key, ARGV[3], 'PX', ARGV[4])
  local busy_until = math.max(state == 'S' and lease_until or 0, busy_ms > 0 and now + busy_ms or 0)
  if busy_until > now then redis.call('SETRANGE', key, 16, struct.pack('>I8', busy_until)) end
  return 1
end
if mode == 'busy' then
  if state ~= 'S' then return 0 end
  redis.call('SETRANGE', key, 16, struct.pack('>I8', math.max(lease_until, now + busy_ms)))
  return 1
end

local no_lease = string.rep('\0', 17)
if leased then
  if owner ~= ARGV[2] or lease_until == 0 or state == 'W' then return 0 end
  if state ~= 'V' or mode == 'drop' then
    redis.call('DEL', key)
  elseif mode == 'release' then
    redis.call('SETRANGE', key, 7, no_lease)
  else
    redis.call('SETRANGE', key, 7, '\1' .. string.rep('\0', 8) .. struct.pack('>I8', now + ARGV[4]))
  end
  return 1
end
if state == 'V' then
  redis.call('SETRANGE', key, 7, no_lease .. struct.pack('>I8', math.min(fresh_until, now)))
  return 1
end
if state == 'L' then
  redis.call('SET', key, ARGV[3], 'PX', ARGV[4])
  return 1
end
return 0
