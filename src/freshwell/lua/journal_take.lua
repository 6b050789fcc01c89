-- Return records of one shard in order, and how often each has failed. Changes nothing.
-- KEYS     1 owner   2 records   3 tries
-- ARGV     1 token of the owner, or '' for whoever only looks   2 id after which to begin
--          3 how many records   4 how many bytes: what goes beyond is the last
-- returns  {1, records, tries} these are all, or as many as were asked for
--          {2, records, tries} there may be more: they are large
--          {0} another owns the shard
if ARGV[1] ~= '' and redis.call('GET', KEYS[1]) ~= ARGV[1] then return {0} end
local after, left, room = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local found, tries, taken, step = {}, {}, 0, 8

while left > 0 do
  local wanted = math.min(step, left)
  local part = redis.call('XRANGE', KEYS[2], '(' .. after, '+', 'COUNT', wanted)
  for i = 1, #part do
    local id, fields = part[i][1], part[i][2]
    for j = 1, #fields do taken = taken + #fields[j] end
    found[#found + 1] = part[i]
    tries[#tries + 1] = redis.call('HGET', KEYS[3], id)
    after = id
    if taken > room and #found < tonumber(ARGV[3]) then return {2, found, tries} end
  end
  if #part < wanted then break end
  left = left - #part
  -- So many that they fit, if they are like those before.
  step = math.max(1, math.min(256, math.floor((room - taken) * #found / (taken + 1))))
end
return {1, found, tries}
