-- Find out the generation of writers, and begin an empty ledger. Runs without the prelude, since it is what
-- tells a writer its epoch. KEYS: log, meta. A log without its meta is a damaged or half restored store:
-- it stays closed until somebody has looked.
local clock = redis.call('TIME')
local now = string.format('%.0f', clock[1] * 1000000 + clock[2])
if redis.call('EXISTS', KEYS[2]) == 0 then
  if redis.call('EXISTS', KEYS[1]) == 1 then return { 'fenced', now, {} } end
  redis.call('HSET', KEYS[2], 'epoch', '1', 'open', '1', 'n', '0')
end
local meta = redis.call('HMGET', KEYS[2], 'epoch', 'open')
if meta[2] ~= '1' then return { 'fenced', now, {} } end
return { 'ok', now, {}, meta[1] }
