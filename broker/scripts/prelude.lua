-- Shared opening of every script of the store; the loader puts it before each of them.
--
-- KEYS[1..5]  log (stream), meta, subj, dd:<hour>, dd:<hour before>      all hash-tagged {practice}
-- ARGV[1..3]  epoch of the writer, node, latest store time (us) at which to still act, 0 for no limit
-- Answer      {word, store time in us, receipts, …}; a receipt is "index:time:seq[:note]", "" for none
--
-- A script decides everything before it writes anything, and appends events before it changes state: the
-- first XADD is the only write that can fail (its id is not above the last one, which means that the store
-- was rolled back), and then nothing has happened.

local LOG, META, SUBJ, SEEN, SEEN_BEFORE = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local NODE = ARGV[2]
local clock = redis.call('TIME')
local NOW_US = clock[1] * 1000000 + clock[2] -- a double holds this exactly until the year 2255
local NOW = string.format('%.0f', NOW_US)
local NOW_MS = string.format('%.0f', math.floor(NOW_US / 1000))

local at = 3
local function take()
  at = at + 1
  return ARGV[at]
end
local function take_number()
  return tonumber(take())
end

-- One event: id, subject tag, header, sealed body, session.
local function take_event()
  return { id = take(), tag = take(), header = take(), sealed = take(), session = take() }
end
local function take_events()
  local events = {}
  for i = 1, take_number() do events[i] = take_event() end
  return events
end

-- A writer of another generation, or a ledger that is closed for a restore, gets nothing done.
local function fenced()
  local meta = redis.call('HMGET', META, 'epoch', 'open')
  return meta[2] ~= '1' or meta[1] ~= ARGV[1]
end
-- A command may lie in a stalled server's socket long after its sender gave up; it must not act then.
local function late(limit)
  limit = tonumber(limit or ARGV[3])
  return limit > 0 and NOW_US > limit
end

-- Whether a room's owner, whose lease carried the token `fence`, has a successor; `lease` is the session's field.
-- An empty fence is a caller that runs no room: a person's request, the command line.
local function deposed(fence, lease)
  return fence ~= '' and tonumber(fence) ~= tonumber(lease or '0')
end
-- Whether a closing of a deposed owner still stands: nobody moved the seat (`lease` is its field) since then.
local function untouched(fence, lease)
  return tonumber(lease or '0') <= tonumber(fence)
end

local function receipt_of(id)
  return redis.call('HGET', SEEN, id) or redis.call('HGET', SEEN_BEFORE, id) or ''
end
-- Receipts of events that were stored by an earlier attempt of this very call; nil when none was.
local function known(events)
  local receipts, any = {}, false
  for i, event in ipairs(events) do
    receipts[i] = receipt_of(event.id)
    any = any or receipts[i] ~= ''
  end
  return any and receipts or nil
end

-- Append one event: the bytes of the leaf are made here and nowhere else (see broker/audit.py).
local function append(event, note)
  local index = tonumber(redis.call('HGET', META, 'n') or '0')
  local seq = tonumber(redis.call('HGET', SUBJ, event.tag) or '0') + 1
  local leaf = 'qr-audit/1\0' .. struct.pack('>I8I8I8', index, NOW_US, seq) .. event.id .. event.tag
    .. struct.pack('>I2', #event.header) .. event.header .. event.sealed
  redis.call('XADD', LOG, string.format('%.0f-0', index + 1), 'e', leaf, 's', event.session, 'n', NODE)
  redis.call('HINCRBY', META, 'n', 1)
  redis.call('HINCRBY', SUBJ, event.tag, 1)
  local receipt = string.format('%.0f:%s:%.0f', index, NOW, seq)
  if note then receipt = receipt .. ':' .. note end
  redis.call('HSET', SEEN, event.id, receipt)
  redis.call('EXPIRE', SEEN, 7500)
  return receipt
end
local function append_all(events, note)
  local receipts = {}
  for i, event in ipairs(events) do receipts[i] = append(event, note) end
  return receipts
end

-- Values of fields: "=text" set, "+2" add, "@" store time in ms, "?" the same unless there is one, "-" remove.
local function take_fields()
  local fields = {}
  for i = 1, take_number() do fields[i] = { name = take(), value = take() } end
  return fields
end
local function write_fields(key, prefix, fields)
  for _, field in ipairs(fields) do
    local name, op, text = prefix .. field.name, string.sub(field.value, 1, 1), string.sub(field.value, 2)
    if op == '=' then redis.call('HSET', key, name, text)
    elseif op == '+' then redis.call('HINCRBY', key, name, text)
    elseif op == '@' then redis.call('HSET', key, name, NOW_MS)
    elseif op == '?' then redis.call('HSETNX', key, name, NOW_MS)
    elseif op == '-' then redis.call('HDEL', key, name) end
  end
end

if fenced() then return { 'fenced', NOW, {} } end
