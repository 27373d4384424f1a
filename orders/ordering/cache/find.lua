-- An order's body, nothing when it is not here or was invalidated. Using it keeps it from being dropped, not from ending.
-- KEYS[1] the order of use   ARGV[1] prefix of the keys  [2] now, wall ms  [3] order id
local body = redis.call('HGET', ARGV[1] .. ARGV[3], 'body')
if body and body ~= '' then
  redis.call('ZADD', KEYS[1], 'XX', ARGV[2], ARGV[3])
  return body
end
return false
