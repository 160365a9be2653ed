-- ARGV: time. Answers the records of those whose time has not run out.
local ids = redis.call('ZRANGEBYSCORE', 'podium:index:coordinators', '(' .. string.format('%.3f', now_ms()), '+inf')
local found = {}
for _, id in ipairs(ids) do
    local record = redis.call('GET', 'podium:coordinators:' .. id)
    if record then
        found[#found + 1] = record
    end
end
return found
