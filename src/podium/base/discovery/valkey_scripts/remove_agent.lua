-- ARGV: time, agent id. Its epoch is remembered.
local id = ARGV[2]
local text = redis.call('GET', 'podium:agents:' .. id)
if not text then
    return
end
local record = cjson.decode(text)
local epoch = last_owner(id)
redis.call('HSET', 'podium:epochs:' .. id, 'epoch', whole(math.max(epoch or 0, record.epoch)))
redis.call('DEL', 'podium:agents:' .. id)
redis.call('ZREM', 'podium:index:agents', id)
redis.call('ZREM', 'podium:index:agents:tenant_id:' .. record.tenant_id, id)
