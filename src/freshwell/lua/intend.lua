-- Announce that a writer is about to change what one key stands for: an entry, or a tag. Until
-- the last writer has settled, or its announcement has run out, nothing is stored there.
-- KEYS[1]  the key
-- ARGV     1 token of the writer   2 intent_ms   3 head of an intent frame
--          4 'open': announce; 'prolong': go on with what was announced
--          5 how many writers there may be at a time
-- The frame ends with what settle.lua leaves when the last writer ends, if that can be told.
-- returns  how many other writers there are; -1 too many, and this one was not announced
local key, token, ms = KEYS[1], ARGV[1], tonumber(ARGV[2])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local others, count, last, contended, mine = '', 0, now + ms, '\0', false
local best, lapsed = '', false
local head = redis.pcall('GETRANGE', key, 0, 51)
local ours = type(head) == 'string' and #head == 52
    and string.sub(head, 1, 3) == string.sub(ARGV[3], 1, 3)
    and string.sub(head, 45, 52) == string.sub(ARGV[3], 45, 52)
if ours and string.sub(head, 4, 4) == 'W' then
  contended = string.sub(head, 8, 8)
  local rest = redis.call('GETRANGE', key, 56, -1)
  local writers = string.sub(rest, 1, #rest - struct.unpack('>I4', head, 41))
  best = string.sub(rest, 1 + #writers)
  for at = 1, #writers - 15, 16 do
    local writer, ends = string.sub(writers, at, at + 7), struct.unpack('>I8', writers, at + 8)
    if writer == token then
      mine = true
    elseif ends > now then
      others, count, last = others .. string.sub(writers, at, at + 15), count + 1, math.max(last, ends)
    else
      lapsed = true
    end
  end
end
-- What a writer leaves behind has its token: this one has settled meanwhile.
if ours and ARGV[4] == 'prolong' and not mine and string.sub(head, 9, 16) == token then return 0 end
if count >= tonumber(ARGV[5]) then return -1 end
-- One who comes back after its announcement has run out does not know what it has missed. Of one who
-- has not come back, nobody knows what became of its change.
if lapsed or (ARGV[4] == 'prolong' and not mine) then
  contended = '\1'
elseif count > 0 and contended == '\0' then
  contended = '\2'
end
if contended ~= '\2' then best = '' end

redis.call('SET', key,
  string.sub(ARGV[3], 1, 7) .. contended .. token .. struct.pack('>I8', last)
    .. string.sub(ARGV[3], 25, 40) .. struct.pack('>I4', #best) .. string.sub(ARGV[3], 45, 56)
    .. others .. token .. struct.pack('>I8', now + ms) .. best,
  'PX', last - now)
return count
