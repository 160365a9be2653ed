-- ARGV: time, key, answer. Only the first answer counts.
if redis.call('EXISTS', ARGV[2]) == 1 then
    redis.call('HSETNX', ARGV[2], 'answer', ARGV[3])
end
