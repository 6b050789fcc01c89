-- Remove entries, whatever they are, but for writers' announcements, which are told of it.
-- KEYS     the entries: in a Cluster, of one slot   ARGV  1 how our frames begin (3 bytes)
-- returns  how many held a value
local value, intent = ARGV[1] .. 'V', ARGV[1] .. 'W'
local values, kept, gone = 0, {}, KEYS

local function stands(key)
  local ends = redis.call('GETRANGE', key, 16, 23)
  local time = redis.call('TIME')
  return #ends == 8 and struct.unpack('>I8', ends) > time[1] * 1000 + math.floor(time[2] / 1000)
end

for i = 1, #KEYS do
  local start = redis.pcall('GETRANGE', KEYS[i], 0, 3)
  if start == value then
    values = values + 1
  elseif start == intent and stands(KEYS[i]) then
    redis.call('SETRANGE', KEYS[i], 7, '\1')
    kept[i], gone = true, {}
  end
end
if gone ~= KEYS then
  for i = 1, #KEYS do
    if not kept[i] then gone[#gone + 1] = KEYS[i] end
  end
end
if #gone > 0 then redis.call('UNLINK', unpack(gone)) end
return values
