-- ARGV: time, agent id, coordinator id, an epoch the new one must be above, life of a lease in ms, life of a coordinator in
-- ms. Answers the epoch, or nothing while another coordinator holds the lease. The rule is `rules.next_lease`.
local now, id, me, ttl = now_ms(), ARGV[2], ARGV[3], tonumber(ARGV[5])
local epoch, holder = last_owner(id)
local known = math.max(agent_epoch(id), tonumber(ARGV[4]))
if not epoch then
    epoch = known + 1
elseif holder ~= me then
    if holder then
        local lease = redis.call('GET', 'podium:leases:' .. id)
        if lease and cjson.decode(lease).deadline > now then
            return nil
        end
        -- Nothing is taken from its last holder while the server was away a moment ago: see announce.lua.
        local pulse = redis.call('HMGET', 'podium:pulse', 'announced', 'quiet_until')
        if pulse[1] and (now - tonumber(pulse[1]) > tonumber(ARGV[6]) or now < tonumber(pulse[2] or 0)) then
            return nil
        end
    end
    epoch = math.max(epoch, known) + 1
end
redis.call('HSET', 'podium:epochs:' .. id, 'epoch', whole(epoch), 'coordinator_id', me)
give_lease(id, me, epoch, now + ttl, ttl)
return epoch
