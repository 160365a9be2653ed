-- ARGV: time, key id, record.
redis.call('SET', 'podium:keys:' .. ARGV[2], ARGV[3])
redis.call('ZADD', 'podium:index:keys', 0, ARGV[2])
