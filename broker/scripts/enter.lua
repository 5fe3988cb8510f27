-- Open a credential session for a seat whose token and password were right, or record why the door stays shut.
-- KEYS[6..8]: session hash, counter of attempts (see attempt.lua), record of the credential session.
-- ARGV: seat, its epoch when it was read, how early a seat opens (ms before the start), device,
--       fields of the record, events: auth.ok and auth.failed, of which one is stored.
-- Right credentials at a shut door are no guess, so both answers forget the failures before.
-- Answer: {'ok' | 'known', now, receipts}: the receipt that is there tells whether the door was open.
local SESSION, COUNTER, RECORD = KEYS[6], KEYS[7], KEYS[8]
local seat, epoch, early, device = take(), take(), take_number(), take()
local fields, events = take_fields(), take_events()

local before = known(events)
if before then return { 'known', NOW, before } end
if late() then return { 'late', NOW, {} } end

-- Somebody else's guesses locked it while this password was being checked: locked it stays.
local locked = redis.call('HGET', COUNTER, 'locked') == '1'
local found = redis.call('HMGET', SESSION, 'state', 'starts', 'ends', seat .. '.state', seat .. '.epoch')
local now_ms, ends = tonumber(NOW_MS), tonumber(found[3] or '0')
local open = not locked and found[1] == 'open'
  and now_ms >= tonumber(found[2]) - early and now_ms < ends
  and found[4] and found[4] ~= 'removed' and found[4] ~= 'ended' and (found[5] or '0') == epoch

if not open then
  local receipt = append(events[2])
  if not locked then redis.call('DEL', COUNTER) end
  return { 'ok', NOW, { '', receipt } }
end
local receipt = append(events[1])
redis.call('DEL', COUNTER)
redis.call('HSET', SESSION, seat .. '.device', device)
write_fields(RECORD, '', fields)
redis.call('PEXPIREAT', RECORD, string.format('%.0f', ends))
return { 'ok', NOW, { receipt, '' } }
