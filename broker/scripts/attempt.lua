-- Guard one credential against guessing. KEYS[6]: its counter.
-- ARGV: verb (begin, fail, turned-away, undo, ok, unlock), lifetime of the counter in ms (0: for ever),
--       the failure in a row from which one has to wait, the failure that locks, events.
--
-- "begin" counts the attempt as a failure before anybody looks at the password: a hundred guesses at once
-- are a hundred failures. Only "ok" takes that back (and "undo": the password was not looked at after all).
-- From, say, the 3rd failure in a row the next attempt has to wait 1, 2, 4 … at most 300 s; after, say, the
-- 10th the credential is locked until somebody unlocks it.
--
-- Answer: {'allowed', now, {}, n} · {'delayed', now, {}, n, ms to wait} · {'locked', now, receipts, n}
--         {'ok' | 'known', now, receipts, n}
-- "fail" is given auth.failed and auth.locked; the second is stored by the failure that locks. "turned-away"
-- is given auth.failed and stores it at most every 10 s: whoever may not even try must not fill the ledger.
local COUNTER = KEYS[6]
local verb, lifetime, SLOW, LIMIT = take(), take_number(), take_number(), take_number()
local events = take_events()

local counter = redis.call('HMGET', COUNTER, 'n', 'next', 'locked', 'heard')
local n, next_ms, locked = tonumber(counter[1] or '0'), tonumber(counter[2] or '0'), counter[3] == '1'

local before = known(events)
if before then return { 'known', NOW, before, tostring(n) } end
if late() then return { 'late', NOW, {} } end

if verb == 'begin' then
  if locked or n >= LIMIT then return { 'locked', NOW, {}, tostring(n) } end
  local now_ms = tonumber(NOW_MS)
  if now_ms < next_ms then
    return { 'delayed', NOW, {}, tostring(n), string.format('%.0f', math.min(next_ms - now_ms, 300000)) }
  end
  n = n + 1
  redis.call('HSET', COUNTER, 'n', tostring(n))
  if n >= SLOW then
    local pause = math.min(300, 2 ^ (n - SLOW)) * 1000
    redis.call('HSET', COUNTER, 'next', string.format('%.0f', now_ms + pause))
  end
  if lifetime > 0 then redis.call('PEXPIRE', COUNTER, string.format('%.0f', lifetime)) end
  return { 'allowed', NOW, {}, tostring(n) }
elseif verb == 'fail' then
  local receipts = { append(events[1]) }
  if n >= LIMIT and not locked then
    receipts[2] = append(events[2])
    redis.call('HSET', COUNTER, 'locked', '1')
    return { 'locked', NOW, receipts, tostring(n) }
  end
  receipts[2] = ''
  return { 'ok', NOW, receipts, tostring(n) }
elseif verb == 'turned-away' then
  if tonumber(NOW_MS) - tonumber(counter[4] or '0') < 10000 then return { 'ok', NOW, { '' }, tostring(n) } end
  local receipt = append(events[1])
  redis.call('HSET', COUNTER, 'heard', NOW_MS)
  if lifetime > 0 then redis.call('PEXPIRE', COUNTER, string.format('%.0f', lifetime)) end
  return { 'ok', NOW, { receipt }, tostring(n) }
elseif verb == 'undo' then
  if n > 0 and not locked then
    redis.call('HSET', COUNTER, 'n', tostring(n - 1))
    redis.call('HDEL', COUNTER, 'next')
  end
  return { 'ok', NOW, {}, tostring(n) }
elseif verb == 'ok' then
  -- Somebody else's guesses locked it while this password was being checked: locked it stays.
  if locked then return { 'locked', NOW, {}, tostring(n) } end
  local receipts = append_all(events)
  redis.call('DEL', COUNTER)
  return { 'ok', NOW, receipts, '0' }
end
local receipts = append_all(events)
redis.call('DEL', COUNTER)
return { 'ok', NOW, receipts, '0' }
