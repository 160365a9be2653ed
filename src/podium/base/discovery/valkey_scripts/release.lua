-- ARGV: time, agent id, coordinator id, epoch.
local epoch, holder = last_owner(ARGV[2])
if epoch == tonumber(ARGV[4]) and holder == ARGV[3] then
    redis.call('HDEL', 'podium:epochs:' .. ARGV[2], 'coordinator_id')
    redis.call('DEL', 'podium:leases:' .. ARGV[2])
end
