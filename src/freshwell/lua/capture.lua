-- Return a tag's version, to be put into an entry that is about to be loaded. Where there is
-- none, one is made: whatever was stored under an earlier one is outdated by that.
-- KEYS[1]  the tag's key
-- ARGV     1 frame of a new version   2 keep_ms: how long it is needed
-- returns  {version, ms_left, busy_ms}; {'', 0, 0} while a writer has announced a change.
--          busy_ms: for how long writers of tags may still be at work ('busy' in invalidate.lua)
local key, keep_ms = KEYS[1], tonumber(ARGV[2])
local head = redis.pcall('GETRANGE', key, 0, 51)
if type(head) == 'string' and #head == 52
    and string.sub(head, 1, 3) == string.sub(ARGV[1], 1, 3)
    and string.sub(head, 45, 52) == string.sub(ARGV[1], 45, 52) then
  local state = string.sub(head, 4, 4)
  if state == 'W' then return {'', 0, 0} end
  if state == 'S' then
    local left = redis.call('PTTL', key)
    if left < keep_ms then
      -- Rarely: each time costs the entries that memory holds under this tag.
      left = 4 * keep_ms
      redis.call('PEXPIRE', key, left)
    end
    local time = redis.call('TIME')
    local now = time[1] * 1000 + math.floor(time[2] / 1000)
    local busy_until = struct.unpack('>I8', head, 17)
    return {string.sub(head, 9, 16), left, math.max(0, busy_until - now)}
  end
end
redis.call('SET', key, ARGV[1], 'PX', 4 * keep_ms)
return {string.sub(ARGV[1], 9, 16), 4 * keep_ms, 0}
