-- Change seats of one session and append an event for each: all of them or none.
-- KEYS[6]: session hash.
-- ARGV: fence (see prelude), count, then per change: seat, allowed states (csv, empty for any), new state (empty: as it is),
--       flags (csv), event, count of fields, (name, value)*.
-- Flags: needs-open, needs-window:<ms that it opens before its start>, needs-agreement:<version>,
--        needs-capacity:<states that take a place, joined by +>, bump-epoch, closing.
-- An owner that has a successor gets nothing done, with one exception: a closing that it still owed is carried
-- out for the seats that nobody moved since (docs/decisions/0007). So each seat remembers the lease of its move.
-- Answer: {'ok' | 'known' | 'already', now, receipts, rev} or {'refused', now, {}, code, seat, state}.
local SESSION = KEYS[6]

local fence, changes, events = take(), {}, {}
for i = 1, take_number() do
  local change = { seat = take(), from = take(), to = take(), flags = take() }
  change.event = take_event()
  change.fields = take_fields()
  changes[i], events[i] = change, change.event
end

local before = known(events)
if before then
  local rev = '0'
  for _, receipt in ipairs(before) do rev = string.match(receipt, '^%d+:%d+:%d+:(%d+)$') or rev end
  return { 'known', NOW, before, rev }
end
if late() then return { 'late', NOW, {} } end

local function has(csv, word)
  return string.find(',' .. csv .. ',', ',' .. word .. ',', 1, true) ~= nil
end
local function refused(code, change, state)
  return { 'refused', NOW, {}, code, change.seat, state or '' }
end

local session = redis.call('HMGET', SESSION, 'state', 'capacity', 'rev', 'seats', 'starts', 'ends', 'lease')
local stale = deposed(fence, session[7])
local states -- of all seats, as they will be after the changes looked at so far
local function occupied(inside)
  local count = 0
  for _, state in pairs(states) do
    if string.find('+' .. inside .. '+', '+' .. state .. '+', 1, true) then count = count + 1 end
  end
  return count
end
local function load_states()
  states = {}
  local seats, names = {}, {}
  for seat in string.gmatch(session[4] or '', '[^,]+') do
    seats[#seats + 1], names[#names + 1] = seat, seat .. '.state'
  end
  local start = 1
  while start <= #names do -- in slices: Lua's unpack has a limit
    local slice = redis.call('HMGET', SESSION, unpack(names, start, math.min(start + 999, #names)))
    for i, state in ipairs(slice) do states[seats[start + i - 1]] = state or '' end
    start = start + 1000
  end
end

local todo, overtaken = {}, nil
for i, change in ipairs(changes) do
  local prefix = change.seat .. '.'
  local seat = redis.call('HMGET', SESSION, prefix .. 'state', prefix .. 'agreed', prefix .. 'lease')
  local state = seat[1]
  if not state then return refused('no-seat', change) end
  if stale and not has(change.flags, 'closing') then return refused('fenced-room', change, state) end

  local already
  if stale and not untouched(fence, seat[3]) then
    already, overtaken = true, { change, state }
  elseif change.to == '' then -- only fields change: already so when every value to set is there
    already = false
    for k, field in ipairs(change.fields) do
      if string.sub(field.value, 1, 1) ~= '=' then already = false; break end
      local present = redis.call('HGET', SESSION, change.seat .. '.' .. field.name) or ''
      already = present == string.sub(field.value, 2)
      if not already then break end
    end
  else
    already = state == change.to
  end

  if not already then
    if has(change.flags, 'needs-open') and session[1] ~= 'open' then return refused('not-open', change, state) end
    if change.from ~= '' and not has(change.from, state) then return refused('wrong-state', change, state) end
    local early = string.match(change.flags, 'needs%-window:(%d+)')
    if early then
      local starts, ends, now_ms = tonumber(session[5] or ''), tonumber(session[6] or ''), tonumber(NOW_MS)
      if not starts or not ends or now_ms < starts - tonumber(early) or now_ms >= ends then
        return refused('not-open', change, state)
      end
    end
    for flag in string.gmatch(change.flags, '[^,]+') do
      local version = string.match(flag, '^needs%-agreement:(.+)$')
      if version and seat[2] ~= version then return refused('agreement-needed', change, state) end
    end
    if states == nil and string.find(change.flags, 'needs-capacity:', 1, true) then
      load_states()
      for k = 1, #todo do
        if todo[k].to ~= '' then states[todo[k].seat] = todo[k].to end
      end
    end
    if states and change.to ~= '' then states[change.seat] = change.to end
    for flag in string.gmatch(change.flags, '[^,]+') do
      local inside = string.match(flag, '^needs%-capacity:(.+)$')
      if inside and occupied(inside) > tonumber(session[2] or '0') then return refused('full', change, state) end
    end
    change.place = i
    todo[#todo + 1] = change
  end
end

local receipts = {}
for i = 1, #changes do receipts[i] = '' end
if #todo == 0 and overtaken then return refused('fenced-room', unpack(overtaken)) end
if #todo == 0 then return { 'already', NOW, receipts, session[3] or '0' } end

local rev = string.format('%.0f', tonumber(session[3] or '0') + 1)
for _, change in ipairs(todo) do receipts[change.place] = append(change.event, rev) end
for _, change in ipairs(todo) do
  local seat = change.seat .. '.'
  if change.to ~= '' then
    redis.call('HSET', SESSION, seat .. 'state', change.to, seat .. 'since', NOW_MS, seat .. 'lease', session[7] or '0')
  end
  if has(change.flags, 'bump-epoch') then redis.call('HINCRBY', SESSION, seat .. 'epoch', 1) end
  write_fields(SESSION, seat, change.fields)
end
redis.call('HSET', SESSION, 'rev', rev)
return { 'ok', NOW, receipts, rev }
