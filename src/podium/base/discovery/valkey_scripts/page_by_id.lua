-- A page of records by id. ARGV: time, index, prefix of the records' keys, cursor (an id, '' for none), rows.
local from = ARGV[4] == '' and '-' or '(' .. ARGV[4]
local found = {}
for _, id in ipairs(redis.call('ZRANGEBYLEX', ARGV[2], from, '+', 'LIMIT', 0, ARGV[5])) do
    local record = redis.call('GET', ARGV[3] .. id)
    if record then
        found[#found + 1] = record
    end
end
return found
