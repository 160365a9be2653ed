-- ARGV: time, record. One with a lower epoch than the stored one is skipped.
local record = cjson.decode(ARGV[2])
local id = record.agent_id
local text = redis.call('GET', 'podium:agents:' .. id)
local stored = text and cjson.decode(text)
if stored and stored.epoch > record.epoch then
    return
end
if stored and stored.tenant_id ~= record.tenant_id then
    redis.call('ZREM', 'podium:index:agents:tenant_id:' .. stored.tenant_id, id)
end
redis.call('SET', 'podium:agents:' .. id, ARGV[2])
redis.call('ZADD', 'podium:index:agents', 0, id)
redis.call('ZADD', 'podium:index:agents:tenant_id:' .. record.tenant_id, 0, id)
