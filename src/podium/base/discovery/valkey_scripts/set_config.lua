-- ARGV: time, the version this is based on, the new version, configuration, channel, notice. Answers 0 when another was quicker.
local stored = redis.call('HGET', 'podium:config', 'version')
if (stored or '0') ~= ARGV[2] then
    return 0
end
redis.call('HSET', 'podium:config', 'config', ARGV[4], 'version', ARGV[3])
redis.call('PUBLISH', ARGV[5], ARGV[6])
return 1
