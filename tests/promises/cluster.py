"""What discovery and the object store promise to the daemons, in every implementation."""

SOURCE = "Cluster"

PROMISES: dict[str, dict[str, str]] = {
    "discovery": {
        "EPOCH-ONLY-GROWS": "The epoch of an agent only grows, over removal, restarts, reboots and crashes.",
        "LEASE-ONE-HOLDER": "A lease has one holder, whoever races for it in whatever process.",
        "LEASE-TAKEN-WHEN-OLD": "A lease not renewed in time may be taken; the one who lost it is told.",
        "LEASE-SURVIVES-LOST-DATA": "Discovery losing its data takes no lease from its holder; the highest epoch wins.",
        "LEASE-SURVIVES-AWAY": "A lease that ran out while discovery was away is not taken before its holder could renew it.",
        "FENCED-WRITES": "A writer with an older epoch is refused.",
        "CLAIM-ONE-OWNER": "An idempotency key has one owner; abandoned work is taken over with its plan.",
        "RATE-TOKEN-BUCKET": "A bucket gives its burst at once and then its rate.",
        "NOTICES-HEARD": "A notice reaches subscribers of every process within a second.",
        "DISCOVERY-WHOLE-OR-NOTHING": "A process killed in a write leaves all of it or nothing, and blocks nobody.",
    },
    "durability": {
        "SEQ-OVER-LOST-HOST": "When a host is lost, no client misses a number or sees one twice, and the turn that was cut off is shown whole.",
        "ENDED-IS-WHOLE": "At whatever moments the replicas of an agent's databases end, a turn that ended is there with its state and its files, or runs again.",
        "SYNC-LOSES-NOTHING": "With durability sync nothing that was acknowledged or shown is lost with a host, files included.",
        "SYNC-WAITS": "With durability sync everything waits while the replica is away, and goes on when it is back.",
        "SYNC-NEEDS-REPLICAS": "Durability sync is refused where nothing is replicated.",
    },
    "failover": {
        "RESCUE-WORK": "Agents with work whose host is lost go on elsewhere within 15 s, though nobody asks for them.",
        "RESCUE-ACKNOWLEDGED": "A message acknowledged a moment before its host died is found, wherever its agent slept.",
        "DRAIN-GIVES-ALL": "A drained host gives all its agents away, with state, conversation and every file.",
        "ROLLING-RESTART": "All coordinators started again one after the other under load: no request fails, no event is lost.",
        "FENCE-CUT-OFF": "A host that is cut off from discovery ends its agents before another begins.",
        "FENCE-FROZEN": "A host that was frozen writes nothing of an agent that went on elsewhere.",
        "DISCOVERY-AWAY": "Agents and connections go on while discovery is away for everyone.",
        "DISCOVERY-EMPTIED": "Discovery losing everything loses no agent.",
        "NEWEST-DATA": "A host that comes back runs the newest data of an agent, never its own old ones.",
        "DATA-OUTLIVE-HOST": "A stopped agent of a lost host can be read and continued elsewhere.",
        "ERASED-STAYS-ERASED": "An agent erased elsewhere does not come back with a host that still had it.",
        "REPLICATION-ENDS": "No replicating process outlives its coordinator.",
    },
    "objects": {
        "OBJECT-CREATE-ONCE": "Of many who create an object under one key exactly one wins.",
        "OBJECT-WHOLE-OR-NOTHING": "An object appears whole, with its metadata, or not at all.",
    },
    "registry": {
        "REGISTRY-ANY-HOST": "What was uploaded once runs on any host that has the bucket.",
        "REGISTRY-LOCAL-FIRST": "A deployment that is on the host is not asked for; one that is nowhere is told as such.",
        "REGISTRY-ONE-DOWNLOAD": "Any number of requests for a missing deployment cause one download.",
        "REGISTRY-VERIFIED": "Wrong bytes are fetched once more and then refused; nothing of them stays or runs.",
        "REGISTRY-AWAY": "While the object store is away agents go on, and what needs it is refused with its reason.",
    },
}
