-- Return what one shard holds.
-- KEYS     1 records   2 about   3 dead
-- returns  {records, bytes, dead letters, id of the first record, of the last, the clock in ms}
local time = redis.call('TIME')
local first = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
return {
  redis.call('XLEN', KEYS[1]),
  tonumber(redis.call('HGET', KEYS[2], 'bytes') or '0'),
  redis.call('HLEN', KEYS[3]),
  first and first[1] or '', last and last[1] or '',
  time[1] * 1000 + math.floor(time[2] / 1000),
}
