-- End a writer's announcement on one key. The last writer leaves a tombstone (or a tag's new
-- version) behind; one who was alone all the time may leave the new value. Of writers who
-- overlapped, and whose source told each its version, the value of the highest is left: until the
-- last of them ends, it stands at the end of the announcement's frame.
-- KEYS[1]  the key
-- ARGV     1 token of the writer   2 tombstone or stamp frame   3 for how many ms
--          4 frame of the new value, or of a tag's version, or ''   5 fresh_ms   6 keep_ms
--          7 the source's version of it, 8 bytes, or ''
-- returns  1 what has the writer's token stands, now or by an earlier try, or what overlapped it
--            and is of a higher version; 0 neither does
local key, token, version = KEYS[1], ARGV[1], ARGV[7]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function is_higher(one, other)
  -- As numbers: doubles do not hold them whole, and texts are compared as the server's locale has it.
  local high, low = struct.unpack('>I4I4', one)
  local other_high, other_low = struct.unpack('>I4I4', other)
  return high > other_high or (high == other_high and low > other_low)
end

local best, mine = '', false
local head = redis.pcall('GETRANGE', key, 0, 51)
if type(head) == 'string' and #head == 52
    and string.sub(head, 1, 3) == string.sub(ARGV[2], 1, 3)
    and string.sub(head, 45, 52) == string.sub(ARGV[2], 45, 52) then
  local state = string.sub(head, 4, 4)
  if (state == 'V' or state == 'S') and string.sub(head, 9, 16) == token then return 1 end
  if state == 'W' then
    local others, last, lapsed = '', 0, false
    local rest = redis.call('GETRANGE', key, 52, -1)
    local writers = string.sub(rest, 5, #rest - struct.unpack('>I4', head, 41))
    for at = 1, #writers - 15, 16 do
      local writer, ends = string.sub(writers, at, at + 7), struct.unpack('>I8', writers, at + 8)
      if writer == token then
        mine = true
      elseif ends > now then
        others, last = others .. string.sub(writers, at, at + 15), math.max(last, ends)
      else
        lapsed = true
      end
    end

    local own = ''
    if ARGV[4] ~= '' then
      own = (version == '' and string.rep('\0', 8) or version)
          .. struct.pack('>I8I8', tonumber(ARGV[5]), tonumber(ARGV[6])) .. ARGV[4]
    end
    local contended = string.sub(head, 8, 8)
    if contended == '\0' and mine and others == '' then
      best = own
    elseif contended == '\2' and mine and not lapsed and own ~= '' and version ~= '' then
      best = string.sub(rest, 5 + #writers)
      local known = string.sub(best, 1, 8)
      if (best == '' and others ~= '') or (#best > 28 and is_higher(version, known)) then
        best = own
      elseif #best <= 28 or version == known then
        best, contended = '', '\1'
      end
    else
      contended = '\1'
    end

    if others ~= '' then
      redis.call('SET', key,
        string.sub(head, 1, 7) .. contended .. string.sub(head, 9, 16) .. struct.pack('>I8', last)
          .. string.sub(head, 25, 40) .. struct.pack('>I4', #best) .. string.sub(head, 45)
          .. string.sub(rest, 1, 4) .. others .. best,
        'PX', last - now)
      return 0
    end
  end
end

if best ~= '' then
  local fresh_ms, keep_ms = struct.unpack('>I8I8', best, 9)
  redis.call('SET', key, string.sub(best, 25), 'PX', keep_ms)
  if string.sub(best, 28, 28) == 'V' then
    redis.call('SETRANGE', key, 24, struct.pack('>I8I8', now + fresh_ms, now))
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
