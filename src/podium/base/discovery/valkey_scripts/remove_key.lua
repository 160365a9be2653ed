-- ARGV: time, key id, channel, notice. Answers how many there were.
local removed = redis.call('DEL', 'podium:keys:' .. ARGV[2])
redis.call('ZREM', 'podium:index:keys', ARGV[2])
if removed == 1 then
    redis.call('PUBLISH', ARGV[3], ARGV[4])
end
return removed
