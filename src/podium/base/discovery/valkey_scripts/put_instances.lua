-- ARGV: time, then records. One with a lower epoch than the stored one of its id is skipped.
for number = 2, #ARGV do
    local record = cjson.decode(ARGV[number])
    local id, score = record.instance_id, whole(record.created_at)
    local key = 'podium:instances:' .. id
    local text = redis.call('GET', key)
    local stored = text and cjson.decode(text)
    if not stored or stored.epoch <= record.epoch then
        local moved = not stored or stored.created_at ~= record.created_at
        redis.call('SET', key, ARGV[number])
        if moved then
            redis.call('ZADD', 'podium:index:instances', score, id)
        end
        for _, field in ipairs(INSTANCE_FIELDS) do
            local index = 'podium:index:instances:' .. field .. ':'
            if stored and stored[field] ~= record[field] then
                redis.call('ZREM', index .. stored[field], id)
            end
            if moved or stored[field] ~= record[field] then
                redis.call('ZADD', index .. record[field], score, id)
            end
        end
    end
end
