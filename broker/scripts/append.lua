-- Append many events that change nothing else. Each comes with its own time limit, since they are collected
-- from many callers; one that is too late is left out ("") and the others are stored.
-- ARGV: count, then per event: limit, id, tag, header, sealed, session.
local receipts = {}
for i = 1, take_number() do
  local limit, event = take(), take_event()
  local receipt = receipt_of(event.id)
  if receipt == '' and not late(limit) then receipt = append(event) end
  receipts[i] = receipt
end
return { 'ok', NOW, receipts }
