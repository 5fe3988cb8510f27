-- Set fields of one small record (staff account, login) if it is as expected, and append events.
-- KEYS[6..7]: record (hash), index of its kind (set).
-- ARGV: name in the index (empty: none), lifetime ms (0: for ever, -1: remove the record),
--       count of conditions, (field, "=value" or "-" for absent)*, fields, events.
-- Answer: {'ok' | 'known', now, receipts} or {'refused', now, {}, field}.
local RECORD, INDEX = KEYS[6], KEYS[7]
local name, lifetime = take(), take_number()
local conditions = take_fields()
local fields, events = take_fields(), take_events()

local before = known(events)
if before then return { 'known', NOW, before } end
if late() then return { 'late', NOW, {} } end
for _, condition in ipairs(conditions) do
  local present = redis.call('HGET', RECORD, condition.name)
  local wanted = condition.value
  if wanted == '-' then
    if present then return { 'refused', NOW, {}, condition.name } end
  elseif present ~= string.sub(wanted, 2) then
    return { 'refused', NOW, {}, condition.name }
  end
end

local receipts = append_all(events)
if lifetime < 0 then
  redis.call('DEL', RECORD)
  if name ~= '' then redis.call('SREM', INDEX, name) end
else
  write_fields(RECORD, '', fields)
  if name ~= '' then redis.call('SADD', INDEX, name) end
  if lifetime > 0 then redis.call('PEXPIRE', RECORD, string.format('%.0f', lifetime)) end
end
return { 'ok', NOW, receipts }
