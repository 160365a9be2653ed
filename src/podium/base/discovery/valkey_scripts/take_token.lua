-- ARGV: time, key, tokens a second, burst, life of a bucket in ms. Answers the seconds to wait, as text; 0 when there was a
-- token. The rule is `rules.token_taken`.
local now, rate, burst, life = now_ms(), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local row = redis.call('HMGET', ARGV[2], 'tokens', 'refilled')
local tokens, refilled = tonumber(row[1] or burst), tonumber(row[2] or now)
local left = math.min(burst, tokens + math.max(0, now - refilled) / 1000 * rate)
local wait = 0
if left >= 1 then
    left = left - 1
elseif rate > 0 then
    wait = (1 - left) / rate
else
    wait = life / 1000
end
redis.call('HSET', ARGV[2], 'tokens', string.format('%.17g', left), 'refilled', string.format('%.3f', now))
redis.call('PEXPIRE', ARGV[2], life)
return string.format('%.17g', wait)
