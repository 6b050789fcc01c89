-- Accept writes of one shard, in order, where there is room for them; and leave their entries in
-- L2 in the same step, where those are on the same server. Must not be repeated.
-- KEYS     1 records   2 latest   3 about   4 dead   5 deadkeys
--          6... the entry of each write, or none
-- ARGV     1 how many shards there are   2 the number of this one
--          3 how many records it may hold, 4 how many bytes; -1: no bound
--          5 how many writes there are   6 whose: 'one' caller's, so that what is behind one
--          without room must not overtake it, or of 'many', one each
--          7 the dead letter that is accepted anew by that, or ''   8 'force': superseded or not
--          9... of each write: name, id, kind, payload, token, size; where there are entries
--          also frame, fresh_ms, keep_ms
-- returns  {1, id...}: of each write its id, or '' where there was no room for it
--          {-1} there is no such dead letter; {-2} its key has been written since
local records, latest, about, dead, deadkeys = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local shards, shard = tonumber(ARGV[1]), tonumber(ARGV[2])
local max_records, max_bytes = tonumber(ARGV[3]), tonumber(ARGV[4])
local of_one, letter, mark = ARGV[6] == 'one', ARGV[7], false
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

if letter ~= '' then
  if redis.call('HEXISTS', dead, letter) == 0 then return {-1} end
  mark = redis.call('HGET', deadkeys, ARGV[9])
  if mark and string.sub(mark, 1, 20) > letter then mark = false end
  if ARGV[8] ~= 'force' and (not mark or redis.call('HEXISTS', latest, ARGV[9]) == 1) then
    return {-2}
  end
end

local known = redis.call('HMGET', about, 'bytes', 'last')
local count, bytes = redis.call('XLEN', records), tonumber(known[1] or '0')
local ms, n = string.match(known[2] or '0-0', '^(%d+)-(%d+)$')
ms, n = tonumber(ms), tonumber(n)

-- No two records of a journal have the same id: those of a shard are its number and multiples.
-- The clock may go back, and the count has 22 bits: ids go on from the last one all the same.
local function next_id()
  if now > ms then
    ms, n = now, shard
  else
    n = n + shards
    if n > 4194303 then ms, n = ms + 1, shard end
  end
  return string.format('%.0f-%.0f', ms, n)
end

local function leave(key, frame, fresh_ms, keep_ms)
  local head = redis.pcall('GETRANGE', key, 0, 51)
  if type(head) == 'string' and #head == 52
      and string.sub(head, 1, 3) == string.sub(frame, 1, 3)
      and string.sub(head, 45, 52) == string.sub(frame, 45, 52)
      and string.sub(head, 4, 4) == 'W' and struct.unpack('>I8', head, 17) > now then
    -- The writers may not store theirs either: this one may be newer.
    redis.call('SETRANGE', key, 7, '\1')
    return
  end
  redis.call('SET', key, frame, 'PX', keep_ms)
  if string.sub(frame, 4, 4) == 'V' then
    redis.call('SETRANGE', key, 24, struct.pack('>I8I8', now + tonumber(fresh_ms), now))
  end
end

local each = #KEYS > 5 and 9 or 6
local answer, last, full = {1}, false, false
for i = 1, tonumber(ARGV[5]) do
  local at = 9 + (i - 1) * each
  local name, size = ARGV[at], tonumber(ARGV[at + 5])
  if (full and of_one) or (max_records >= 0 and count >= max_records)
      or (max_bytes >= 0 and bytes + size > max_bytes) then
    full, answer[i + 1] = true, ''
  else
    last = next_id()
    redis.call('XADD', records, last, 'n', name, 'i', ARGV[at + 1], 'k', ARGV[at + 2],
      'p', ARGV[at + 3], 't', ARGV[at + 4])
    redis.call('HSET', latest, name, last)
    count, bytes, answer[i + 1] = count + 1, bytes + size, last
    if each == 9 then leave(KEYS[5 + i], ARGV[at + 6], ARGV[at + 7], ARGV[at + 8]) end
  end
end
if last then
  redis.call('HSET', about, 'bytes', string.format('%.0f', bytes), 'last', last)
end

if letter ~= '' then
  redis.call('HDEL', dead, letter)
  if mark then
    local others = tonumber(string.sub(mark, 22)) - 1
    if others > 0 then
      redis.call('HSET', deadkeys, ARGV[9], string.sub(mark, 1, 21) .. others)
    else
      redis.call('HDEL', deadkeys, ARGV[9])
    end
  end
end
return answer
