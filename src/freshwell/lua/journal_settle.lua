-- Note what came of records of one shard, if the caller owns it.
-- KEYS     1 owner   2 records   3 latest   4 about   5 tries   6 dead   7 deadkeys
-- ARGV     1 token of the owner   2 lease_ms   3 how many dead letters it may hold
--          4 how many are stored   5 how many have failed   6 how many are dead
--          7... of each stored: id, name, size, sequence; of each failed: id, attempts;
--          of each dead: id, name, size, sequence, attempts, letter
-- returns  how many of the records were not there; -1: another owns the shard
local owner, records, latest, about = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local tries, dead, deadkeys = KEYS[5], KEYS[6], KEYS[7]
if redis.call('GET', owner) ~= ARGV[1] then return -1 end
-- A write first that is allowed where memory is full: so are those behind it, and there will be
-- room again.
redis.call('PEXPIRE', owner, ARGV[2])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local letters, gone, freed, at = redis.call('HLEN', dead), 0, 0, 7

local function remove(id, name, size)
  if redis.call('XDEL', records, id) == 0 then
    gone = gone + 1
    return false
  end
  freed = freed + tonumber(size)
  redis.call('HDEL', tries, id)
  if redis.call('HGET', latest, name) == id then redis.call('HDEL', latest, name) end
  return true
end

local function failed(id, attempts)
  if #redis.call('XRANGE', records, id, id) == 0 then
    gone = gone + 1
  else
    redis.call('HSET', tries, id, attempts)
  end
end

for _ = 1, tonumber(ARGV[4]) do
  local name, sequence = ARGV[at + 1], ARGV[at + 3]
  remove(ARGV[at], name, ARGV[at + 2])
  local mark = letters > 0 and redis.call('HGET', deadkeys, name)
  -- All dead letters of the name are from before.
  if mark and string.sub(mark, 1, 20) < sequence then redis.call('HDEL', deadkeys, name) end
  at = at + 4
end
for _ = 1, tonumber(ARGV[5]) do
  failed(ARGV[at], ARGV[at + 1])
  at = at + 2
end
for _ = 1, tonumber(ARGV[6]) do
  local id, name, sequence = ARGV[at], ARGV[at + 1], ARGV[at + 3]
  if letters >= tonumber(ARGV[3]) then
    failed(id, ARGV[at + 4])
  elseif remove(id, name, ARGV[at + 2]) then
    letters = letters + 1
    redis.call('HSET', dead, sequence, struct.pack('>I8', now) .. ARGV[at + 5])
    -- The oldest letter of the name that is not superseded, and how many there are.
    local mark = redis.call('HGET', deadkeys, name) or sequence .. ':0'
    redis.call('HSET', deadkeys, name, string.sub(mark, 1, 21) .. tonumber(string.sub(mark, 22)) + 1)
  end
  at = at + 6
end

if freed > 0 and redis.call('HINCRBY', about, 'bytes', -freed) < 0 then
  redis.call('HSET', about, 'bytes', 0)
end
if redis.call('XLEN', records) == 0 then
  -- What is about records that are lost, or could not be read, ends here.
  redis.call('HSET', about, 'bytes', 0)
  redis.call('DEL', latest, tries)
end
return gone
