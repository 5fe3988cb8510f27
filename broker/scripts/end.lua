-- End a session: it and every seat of it. KEYS[6..7]: session hash, open sessions.
-- ARGV: fence (see prelude), session id, events.
-- The end that a former owner still owed is carried out if nobody moved a seat since; see change.lua.
-- Answer: {'ok' | 'known' | 'already', now, receipts, rev} or
--         {'refused', now, {}, 'no-session' | 'fenced-room'}.
local SESSION, OPEN = KEYS[6], KEYS[7]
local fence, id, events = take(), take(), take_events()

local session = redis.call('HMGET', SESSION, 'state', 'rev', 'seats', 'lease')
local before = known(events)
if before then return { 'known', NOW, before, session[2] or '0' } end
if late() then return { 'late', NOW, {} } end
if not session[1] then return { 'refused', NOW, {}, 'no-session' } end
if session[1] == 'ended' then return { 'already', NOW, {}, session[2] or '0' } end
if deposed(fence, session[4]) then
  for seat in string.gmatch(session[3] or '', '[^,]+') do
    if not untouched(fence, redis.call('HGET', SESSION, seat .. '.lease')) then
      return { 'refused', NOW, {}, 'fenced-room' }
    end
  end
end

local receipts = append_all(events)
redis.call('ZREM', OPEN, id)
redis.call('HSET', SESSION, 'state', 'ended')
for seat in string.gmatch(session[3] or '', '[^,]+') do
  redis.call('HSET', SESSION, seat .. '.state', 'ended', seat .. '.since', NOW_MS, seat .. '.lease', session[4] or '0')
end
return { 'ok', NOW, receipts, string.format('%.0f', redis.call('HINCRBY', SESSION, 'rev', 1)) }
