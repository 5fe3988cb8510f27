-- Append events that change nothing, for the worker that runs the room. KEYS[6]: session hash.
-- ARGV: fence (see prelude), events.
-- Answer: {'ok' | 'known', now, receipts} or {'refused', now, {}, 'fenced-room'}.
local fence, events = take(), take_events()

local before = known(events)
if before then return { 'known', NOW, before } end
if late() then return { 'late', NOW, {} } end
if deposed(fence, redis.call('HGET', KEYS[6], 'lease')) then return { 'refused', NOW, {}, 'fenced-room' } end
return { 'ok', NOW, append_all(events) }
