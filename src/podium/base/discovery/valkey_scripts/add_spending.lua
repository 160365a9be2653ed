-- ARGV: time, tenant, day, millionths of a dollar, life of a day's sum and of a month's in ms, an allowance to set ('' for none). The
-- first seven characters of a day are its month. Answers both sums and the allowance in force ('' for none).
local function added(period, life)
    local key = 'podium:spending:' .. ARGV[2] .. ':' .. period
    local sum = redis.call('INCRBY', key, ARGV[4])
    redis.call('PEXPIRE', key, life)
    return whole(sum)
end
if ARGV[7] ~= '' then
    redis.call('SET', 'podium:allowances:' .. ARGV[2], ARGV[7])
end
return {
    added(ARGV[3], ARGV[5]), added(string.sub(ARGV[3], 1, 7), ARGV[6]),
    redis.call('GET', 'podium:allowances:' .. ARGV[2]) or '',
}
