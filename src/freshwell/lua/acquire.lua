-- Grant the lease on one entry, or say why not. Reads and changes the frame's head only.
-- KEYS[1]  the entry
-- ARGV     1 token of the caller   2 lease_ms
--          3 'needed': not where a value is stored that stays fresh beyond ARGV[6] ms, nor
--                      while another's lease stands
--            'forced': always, voiding another's lease
--            'beat':   prolong the caller's own lease and nothing else
--          4 token of the caller's earlier try whose reply was lost, or ''
--          5 head of a lease frame without a body   6 fresh_beyond_ms
--          7 times (bytes 25 to 40) of a value that the caller has seen and cannot use, or ''
--          8 '1': a value past its TTL will do while its source is left alone, having failed
-- returns  {1, frame}      a value that will do is stored
--          {2}             granted, or prolonged
--          {3, ms_left}    another holds it
--          {4, ms_left}    a writer has announced a change: nothing can be stored
--          {0}             the lease to prolong is gone
local key, token, lease_ms, mode = KEYS[1], ARGV[1], tonumber(ARGV[2]), ARGV[3]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local head = redis.pcall('GETRANGE', key, 0, 51)
local state, owner, lease_until, fresh_until, times, resting = '', '', 0, 0, '', false
if type(head) == 'string' and #head == 52
    and string.sub(head, 1, 3) == string.sub(ARGV[5], 1, 3)
    and string.sub(head, 45, 52) == string.sub(ARGV[5], 45, 52) then
  state, owner, times = string.sub(head, 4, 4), string.sub(head, 9, 16), string.sub(head, 25, 40)
  lease_until, fresh_until = struct.unpack('>I8I8', head, 17)
  resting = state == 'V' and string.sub(head, 8, 8) ~= '\0' and lease_until > now
end

if mode == 'beat' then
  if state == 'W' or owner ~= token or lease_until == 0 then return {0} end
elseif state == 'W' and lease_until > now then
  return {4, lease_until - now}
elseif mode == 'needed' then
  if state == 'V' and times ~= ARGV[7]
      and (fresh_until > now + tonumber(ARGV[6]) or (resting and ARGV[8] == '1')) then
    return {1, redis.call('GET', key)}
  end
  if lease_until > now and not resting and owner ~= token and owner ~= ARGV[4] then
    return {3, lease_until - now}
  end
end

local lease = token .. struct.pack('>I8', now + lease_ms)
if state == 'V' or mode == 'beat' then
  redis.call('SETRANGE', key, 7, '\0' .. lease)
  if redis.call('PTTL', key) < lease_ms then redis.call('PEXPIRE', key, lease_ms) end
else
  redis.call('SET', key, string.sub(ARGV[5], 1, 8) .. lease .. string.sub(ARGV[5], 25), 'PX', lease_ms)
end
return {2}
