-- ARGV: time, coordinator id, record, life in ms, life of a lease in ms. Answers 1 when it was not known any more.
local now, id, ttl = now_ms(), ARGV[2], tonumber(ARGV[4])
local deadline = redis.call('ZSCORE', 'podium:index:coordinators', id)
local known = deadline and tonumber(deadline) > now and redis.call('EXISTS', 'podium:coordinators:' .. id) == 1

-- When nobody at all announced itself for a coordinator's life, it was the server that was away, not they: holders get the
-- time of a lease to come back before others may take what seems to have run out (see acquire.lua).
local last = redis.call('HGET', 'podium:pulse', 'announced')
if last and now - tonumber(last) > ttl then
    redis.call('HSET', 'podium:pulse', 'quiet_until', whole(now + tonumber(ARGV[5])))
end
redis.call('HSET', 'podium:pulse', 'announced', whole(now))

redis.call('SET', 'podium:coordinators:' .. id, ARGV[3], 'PX', ttl)
redis.call('ZADD', 'podium:index:coordinators', whole(now + ttl), id)
redis.call('ZREMRANGEBYSCORE', 'podium:index:coordinators', '-inf', whole(now))
return known and 0 or 1
