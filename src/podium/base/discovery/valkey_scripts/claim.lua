-- ARGV: time, key, fingerprint, plan, how long it is held and how long it is remembered, both in ms.
-- Answers whether it is the caller's, fingerprint, plan, answer ('' for none), held until. The rule is `rules.claimed`.
local now, key, memory = math.floor(now_ms()), ARGV[2], tonumber(ARGV[6])
local held_until = whole(now + tonumber(ARGV[5]))
local row = redis.call('HMGET', key, 'fingerprint', 'plan', 'answer', 'held_until', 'expires_at')
if not row[1] or tonumber(row[5]) <= now then
    redis.call('DEL', key)
    redis.call('HSET', key, 'fingerprint', ARGV[3], 'plan', ARGV[4], 'held_until', held_until, 'expires_at', whole(now + memory))
    redis.call('PEXPIRE', key, memory)
    return {1, ARGV[3], ARGV[4], '', held_until}
end
if not row[3] and tonumber(row[4]) <= now and row[1] == ARGV[3] then
    redis.call('HSET', key, 'held_until', held_until)
    return {1, row[1], row[2], '', held_until}
end
return {0, row[1], row[2], row[3] or '', row[4]}
