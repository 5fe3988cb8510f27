-- Create a session under an id that was never used, once per idempotency key.
-- KEYS[6..9]: session hash, used ids (set), open sessions (sorted by end), idempotency record.
-- ARGV: session id, end (ms), key given (1 or 0), digest of the request, sealed answer, fields, events.
-- Answer: {'ok' | 'known', now, receipts} or {'replay', now, {}, sealed answer} or {'refused', now, {}, code}.
local SESSION, USED, OPEN, RECORD = KEYS[6], KEYS[7], KEYS[8], KEYS[9]
local id, ends, keyed, request, answer = take(), take(), take(), take(), take()
local fields, events = take_fields(), take_events()

local before = known(events)
if before then return { 'known', NOW, before } end
if keyed == '1' then
  local record = redis.call('HMGET', RECORD, 'request', 'answer')
  if record[1] == request then return { 'replay', NOW, {}, record[2] } end
  if record[1] then return { 'refused', NOW, {}, 'idempotency-mismatch' } end
end
if late() then return { 'late', NOW, {} } end
if redis.call('SISMEMBER', USED, id) == 1 or redis.call('EXISTS', SESSION) == 1 then
  return { 'refused', NOW, {}, 'id-used' }
end

local receipts = append_all(events)
redis.call('SADD', USED, id)
redis.call('ZADD', OPEN, ends, id)
write_fields(SESSION, '', fields)
redis.call('HSET', SESSION, 'state', 'open', 'created', NOW_MS, 'rev', '0')
if keyed == '1' then
  redis.call('HSET', RECORD, 'request', request, 'answer', answer)
  redis.call('PEXPIRE', RECORD, 86400000)
end
return { 'ok', NOW, receipts }
