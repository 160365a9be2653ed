-- A page of instances, newest first, out of the smallest of some indexes.
-- ARGV: time, cursor (an instance id, '' for none), when the cursor was created ('': look), rows, then the indexes.
-- Answers the last id that was looked at and when it was created ('' at the end of the index), then records.
local cursor, score, rows = ARGV[2], ARGV[3], tonumber(ARGV[4])
local index, size
for number = 5, #ARGV do
    local members = redis.call('ZCARD', ARGV[number])
    if not size or members < size then
        index, size = ARGV[number], members
    end
end

local start = 0
if cursor ~= '' then
    if score == '' then
        local text = redis.call('GET', 'podium:instances:' .. cursor)
        if not text then
            return {'', ''}
        end
        score = whole(cjson.decode(text).created_at)
    end
    local rank = redis.call('ZREVRANK', index, cursor)
    if rank then
        start = rank + 1
    elseif size > 0 then
        -- The cursor is not in this index, or not any more. It is put there for a moment to learn where it would stand.
        redis.call('ZADD', index, score, cursor)
        start = redis.call('ZREVRANK', index, cursor)
        redis.call('ZREM', index, cursor)
    end
end

local members = redis.call('ZREVRANGE', index, start, start + rows - 1, 'WITHSCORES')
local ended = #members < 2 * rows
local found = {ended and '' or members[#members - 1], ended and '' or whole(tonumber(members[#members]))}
for number = 1, #members, 2 do
    local record = redis.call('GET', 'podium:instances:' .. members[number])
    if record then
        found[#found + 1] = record
    end
end
return found
