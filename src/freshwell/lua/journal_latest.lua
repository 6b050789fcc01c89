-- Return the newest unsettled record of each of some entries of one shard.
-- KEYS     1 latest   2 records
-- ARGV     names of entries
-- returns  a record for each, or nil
local answer = {}
for i = 1, #ARGV do
  local id = redis.call('HGET', KEYS[1], ARGV[i])
  answer[i] = id and redis.call('XRANGE', KEYS[2], id, id)[1] or false
end
return answer
