-- ARGV: time, coordinator id, life of a lease in ms, then agent id and epoch of each. Answers those whose lease is lost. The
-- rule is `rules.renewed_lease`.
local me, ttl = ARGV[2], tonumber(ARGV[3])
local deadline = now_ms() + ttl
local lost = {}
for number = 4, #ARGV, 2 do
    local id, wanted = ARGV[number], tonumber(ARGV[number + 1])
    local epoch, holder = last_owner(id)
    local held = epoch == wanted and holder == me
    if not held and wanted > (epoch or 0) and wanted >= agent_epoch(id) then
        held = true
        redis.call('HSET', 'podium:epochs:' .. id, 'epoch', whole(wanted), 'coordinator_id', me)
    end
    if held then
        give_lease(id, me, wanted, deadline, ttl)
    else
        lost[#lost + 1] = id
    end
end
return lost
