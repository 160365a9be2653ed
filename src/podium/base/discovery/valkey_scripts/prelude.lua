-- The time as it was given, or the server's.
local function now_ms()
    if ARGV[1] ~= '' then
        return tonumber(ARGV[1])
    end
    local time = redis.call('TIME')
    return tonumber(time[1]) * 1000 + tonumber(time[2]) / 1000
end

-- A number without a fraction and without an exponent, as text.
local function whole(number)
    return string.format('%.0f', number)
end

-- The epoch in an agent's record; 0 without one.
local function agent_epoch(agent_id)
    local record = redis.call('GET', 'podium:agents:' .. agent_id)
    return record and cjson.decode(record).epoch or 0
end

-- Who had an agent last and under which epoch: podium:epochs:{agent_id}, which outlives the lease and the agent.
local function last_owner(agent_id)
    local row = redis.call('HMGET', 'podium:epochs:' .. agent_id, 'epoch', 'coordinator_id')
    return row[1] and tonumber(row[1]), row[2]
end

-- podium:leases:{agent_id} is there as long as somebody's lease is.
local function give_lease(agent_id, coordinator_id, epoch, deadline, ttl_ms)
    local value = '{"coordinator_id":' .. cjson.encode(coordinator_id) .. ',"epoch":' .. whole(epoch)
        .. ',"deadline":' .. whole(deadline) .. '}'
    redis.call('SET', 'podium:leases:' .. agent_id, value, 'PX', ttl_ms)
end

-- What instances are listed by, each with sorted sets `podium:index:instances:{field}:{value}`.
local INSTANCE_FIELDS = {'tenant_id', 'status', 'agent_type', 'agent_id', 'deployment_id', 'coordinator_id'}
