-- ARGV: time, then instance ids.
for number = 2, #ARGV do
    local id = ARGV[number]
    local key = 'podium:instances:' .. id
    local text = redis.call('GET', key)
    if text then
        local stored = cjson.decode(text)
        redis.call('DEL', key)
        redis.call('ZREM', 'podium:index:instances', id)
        for _, field in ipairs(INSTANCE_FIELDS) do
            redis.call('ZREM', 'podium:index:instances:' .. field .. ':' .. stored[field], id)
        end
    end
end
