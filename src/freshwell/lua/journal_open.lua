-- Note how a journal is laid out, unless that is noted already. May be repeated.
-- KEYS     1 about, of the whole journal
-- ARGV     1 format   2 how many shards   3 the template of its owner
-- returns  what is noted: {format, shards, template}
local known = redis.call('HMGET', KEYS[1], 'format', 'shards', 'template')
if known[1] then return known end
redis.call('HSET', KEYS[1], 'format', ARGV[1], 'shards', ARGV[2], 'template', ARGV[3])
return {ARGV[1], ARGV[2], ARGV[3]}
