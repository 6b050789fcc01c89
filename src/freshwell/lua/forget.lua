-- Remove entries, whatever they are, but for writers' announcements, which are told of it.
-- KEYS     the entries: in a Cluster, of one slot   ARGV  1 how our frames begin (3 bytes)
-- returns  how many held a value
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local values, gone = 0, {}
for i = 1, #KEYS do
  local head = redis.pcall('GETRANGE', KEYS[i], 0, 23)
  local state = ''
  if type(head) == 'string' and #head == 24 and string.sub(head, 1, 3) == ARGV[1] then
    state = string.sub(head, 4, 4)
  end
  if state == 'W' and struct.unpack('>I8', head, 17) > now then
    redis.call('SETRANGE', KEYS[i], 7, '\1')
  else
    gone[#gone + 1] = KEYS[i]
    if state == 'V' then values = values + 1 end
  end
end
if #gone > 0 then redis.call('UNLINK', unpack(gone)) end
return values
