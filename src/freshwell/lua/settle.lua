-- End a writer's announcement on one key. The last writer leaves a tombstone (or a tag's new
-- version) behind; one who was alone all the time may leave the new value.
-- KEYS[1]  the key
-- ARGV     1 token of the writer   2 tombstone or stamp frame   3 for how many ms
--          4 frame of the new value, or of a tag's version, or ''   5 fresh_ms   6 keep_ms
-- returns  1 what has the writer's token stands, now or by an earlier try; 0 it does not
local key, token = KEYS[1], ARGV[1]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local clean, mine = false, false
local head = redis.pcall('GETRANGE', key, 0, 51)
if type(head) == 'string' and #head == 52
    and string.sub(head, 1, 3) == string.sub(ARGV[2], 1, 3)
    and string.sub(head, 45, 52) == string.sub(ARGV[2], 45, 52) then
  local state = string.sub(head, 4, 4)
  if (state == 'V' or state == 'S') and string.sub(head, 9, 16) == token then return 1 end
  if state == 'W' then
    local others, last = '', 0
    local writers = redis.call('GETRANGE', key, 52, -1)
    for at = 5, #writers - 15, 16 do
      local writer, ends = string.sub(writers, at, at + 7), struct.unpack('>I8', writers, at + 8)
      if writer == token then
        mine = true
      elseif ends > now then
        others, last = others .. string.sub(writers, at, at + 15), math.max(last, ends)
      end
    end
    if others ~= '' then
      redis.call('SET', key,
        string.sub(head, 1, 7) .. '\1' .. string.sub(head, 9, 16) .. struct.pack('>I8', last)
          .. string.sub(head, 25) .. string.sub(writers, 1, 4) .. others,
        'PX', last - now)
      return 0
    end
    clean = mine and string.sub(head, 8, 8) == '\0'
  end
end

if clean and ARGV[4] ~= '' then
  redis.call('SET', key, ARGV[4], 'PX', ARGV[6])
  if string.sub(ARGV[4], 4, 4) == 'V' then
    redis.call('SETRANGE', key, 24, struct.pack('>I8I8', now + tonumber(ARGV[5]), now))
  end
  return 1
end
if not mine and string.sub(ARGV[2], 4, 4) == 'S' then
  -- This may be a late repetition, and a version must never stand a second time.
  redis.call('UNLINK', key)
  return 0
end
redis.call('SET', key, ARGV[2], 'PX', ARGV[3])
return 0
