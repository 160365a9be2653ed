-- ARGV: time, key.
if redis.call('HEXISTS', ARGV[2], 'answer') == 0 then
    redis.call('DEL', ARGV[2])
end
