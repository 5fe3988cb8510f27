-- Who runs which room. Decides nobody's access, so it appends no event.
-- KEYS[6]: leases, a hash of session id -> "until ms:token:worker"; KEYS[7]: session hash, for take.
-- ARGV: verb, worker, ttl (ms), then: take: session id; renew, release: count, (session id, token)*.
--
-- take     ours if it is ours, or if nobody's lease lives: then the token grows by one. The token is a field of
--          the session, so it lives as long as that does and is never used twice.
-- renew    also what has run out, as long as nobody else took it: it cannot have been anybody's meanwhile, and
--          a clock that jumped ahead must not end every call of the practice at once.
-- release  what is ours.
-- bury     all that the worker has; of others, what ran out a day ago and nobody ever asked for again.
--
-- Answer: {'ok', now, {}, …}: take: worker, token; renew, release: the ids that are (were) ours; bury: how many.
--         {'refused', now, {}, 'no-session'}.
local LEASES, SESSION = KEYS[6], KEYS[7]
local verb, worker, ttl = take(), take(), take_number()
local now_ms = tonumber(NOW_MS)

if late() then return { 'late', NOW, {} } end

local function read(text)
  local till, token, owner = string.match(text or '', '^(%d+):(%d+):(.+)$')
  return owner and { till = tonumber(till), token = token, owner = owner }
end
local function write(id, token, owner)
  redis.call('HSET', LEASES, id, string.format('%.0f:%s:%s', now_ms + ttl, token, owner))
end

if verb == 'take' then
  local id = take()
  local lease = read(redis.call('HGET', LEASES, id))
  if lease and lease.owner ~= worker and lease.till > now_ms then
    -- Nobody writes a lease so far ahead: the clock was set back, and must not stretch it.
    if lease.till > now_ms + ttl then write(id, lease.token, lease.owner) end
    return { 'ok', NOW, {}, lease.owner, lease.token }
  end
  local token
  if lease and lease.owner == worker then
    token = lease.token
  else
    if redis.call('EXISTS', SESSION) == 0 then return { 'refused', NOW, {}, 'no-session' } end
    token = string.format('%.0f', redis.call('HINCRBY', SESSION, 'lease', 1))
  end
  write(id, token, worker)
  return { 'ok', NOW, {}, worker, token }
elseif verb == 'renew' or verb == 'release' then
  local ours = {}
  for i = 1, take_number() do
    local id, token = take(), take()
    local lease = read(redis.call('HGET', LEASES, id))
    if lease and lease.owner == worker and lease.token == token then
      ours[#ours + 1] = id
      if verb == 'renew' then write(id, token, worker) else redis.call('HDEL', LEASES, id) end
    end
  end
  return { 'ok', NOW, {}, ours }
end

local buried, all = 0, redis.call('HGETALL', LEASES)
for i = 1, #all, 2 do
  local lease = read(all[i + 1])
  if lease and lease.owner == worker then
    redis.call('HDEL', LEASES, all[i])
    buried = buried + 1
  elseif not lease or lease.till < now_ms - 86400000 then
    redis.call('HDEL', LEASES, all[i])
  end
end
return { 'ok', NOW, {}, tostring(buried) }
