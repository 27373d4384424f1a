-- A token bucket as one number a key: the theoretical arrival time of the next request (GCRA, ITU-T I.371).
-- KEYS[1] the bucket; ARGV[1] milliseconds a request costs; ARGV[2] requests that may come at once.
-- Answers 0 when there was room, else the milliseconds to wait. Time is the store's, so all gateways agree.
local now = redis.call('TIME')
local now_ms = now[1] * 1000 + now[2] / 1000
local cost_ms = tonumber(ARGV[1])
local room_ms = cost_ms * tonumber(ARGV[2])
local arrival_ms = math.max(tonumber(redis.call('GET', KEYS[1]) or now_ms), now_ms) + cost_ms
local wait_ms = arrival_ms - room_ms - now_ms
if wait_ms > 0 then
  return tostring(wait_ms)
end
redis.call('SET', KEYS[1], string.format('%.3f', arrival_ms), 'PX', math.ceil(arrival_ms - now_ms) + 1)
return '0'
