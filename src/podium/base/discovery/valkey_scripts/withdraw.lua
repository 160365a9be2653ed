-- ARGV: time, coordinator id.
redis.call('DEL', 'podium:coordinators:' .. ARGV[2])
redis.call('ZREM', 'podium:index:coordinators', ARGV[2])
