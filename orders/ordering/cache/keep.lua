-- Keeps or invalidates orders, whichever version is the newest wins.
-- KEYS[1] the order of use (sorted set: order id -> wall ms of the last use)
-- ARGV[1] prefix of the keys  [2] now, wall ms  [3] most orders kept  [4] life of an entry, ms
-- then for each order: id, version, body; an empty body says only that the order has come to this version.
local prefix, now, most, life = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local kept = 0
for i = 5, #ARGV, 3 do
  local id, version, body = ARGV[i], tonumber(ARGV[i + 1]), ARGV[i + 2]
  local known = redis.call('HMGET', prefix .. id, 'version', 'body')
  local at = tonumber(known[1] or 0)
  -- The same version again only gives a body to an entry that has none.
  if at < version or (at == version and known[2] == '') then
    redis.call('HSET', prefix .. id, 'version', version, 'body', body)
    redis.call('PEXPIRE', prefix .. id, life)
    redis.call('ZADD', KEYS[1], now, id)
    kept = kept + 1
  end
end
-- What has run out, then what was not used for the longest time.
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', '(' .. (now - 2 * life))
local over = redis.call('ZCARD', KEYS[1]) - most
if over > 0 then
  local oldest = redis.call('ZPOPMIN', KEYS[1], over)
  for i = 1, #oldest, 2 do
    redis.call('UNLINK', prefix .. oldest[i])
  end
end
return kept
