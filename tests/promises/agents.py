"""What agents, their SDK, their state and their processes are promised."""

SOURCE = "agents"

PROMISES: dict[str, dict[str, str]] = {
    "bundle and manifest": {
        "MANIFEST-UNKNOWN-KEY-NEAREST": "An unknown key is an error naming the nearest known one.",
        "BUNDLE-REPRODUCIBLE": "The same folder packs to the same bytes.",
        "PACKAGES-END-WITH-INSTALLER": "Scripts of packages reach nothing of the host, and nothing they started lives on.",
        "ENVIRONMENT-ATOMIC": "A crash while an environment is prepared leaves nothing half made.",
    },
    "sdk": {
        "SDK-IMPORT-60MS": "podium.agent imports in less than 60 ms with msgspec alone.",
        "AGENT-EXCEPTION-ERROR-EVENT": "An uncaught exception becomes an error event; the agent lives on.",
        "AGENT-PRINT-LOGGED": "print and stderr go to the log.",
        "SDK-SECRETS-HIDDEN": "repr of the secrets hides their values.",
        "HARNESS-NO-SERVER": "AgentHarness runs an agent without a server.",
        "SDK-ONE-END-PER-MESSAGE": "Every message has one stream_start and one stream_end, whatever ends it.",
        "SDK-CANCEL-RAISES": "Cancellation is an exception in the turn; its open message ends as cancelled.",
        "SDK-ASK-SURVIVES-RESTART": "An answer given while the process was away is found when the turn asks again.",
        "SDK-GOLDEN-CONVERSATIONS": "The SDK replays every golden conversation of the agent link.",
        "SDK-OTHER-LANGUAGE": "An agent goes on, with its state, under a deployment in another language.",
        "SDK-EXAMPLES-EQUAL": "Each example does the same in every language that has an SDK.",
        "SDK-THIRD-LANGUAGE": "An agent in a language without an SDK speaks the link in less than 100 lines.",
        "SDK-EVERY-EVENT": "Each call of the context emits the events its table says.",
    },
    "delta state": {
        "STATE-PATCH-EXACT": "Applying the operations to the state before gives the state after, exactly.",
        "STATE-REFUSES-NON-JSON": "A value JSON can't hold is refused at the assignment, naming the path.",
        "STATE-NO-SPLIT-ALIAS": "Aliasing is refused or kept, never silently split.",
        "STATE-MIGRATION-ATOMIC": "A failing migration leaves the stored state as it was.",
        "STATE-OPS-NATURAL": "Every mutation becomes the smallest natural operation.",
        "STATE-SAME-PROGRAMS": "The generated programs of mutations give the same operations and state in every SDK.",
        "STATE-MUTATION-COST": "A tracked mutation costs at most 3 µs.",
        "STATE-LEAF-WRITES-LEAF": "A changed leaf of a 1 MiB state writes one leaf.",
    },
    "databases": {
        "STORE-GROWS-WITH-CHANGES": "Storage grows with what changed, not with state size times turns.",
        "STORE-SNAPSHOTS-BOUND-TAIL": "Hydration reads one snapshot and a bounded tail.",
        "STORE-MIGRATIONS-FORWARD": "Migrations are numbered, forward only, each in a transaction.",
        "STORE-ACKED-SURVIVES-KILL": "A batch that was acknowledged is there after SIGKILL at any point.",
        "STORE-STATE-IS-THE-MARKS": "After a crash the state is the one the journal's mark names.",
        "STORE-LOG-CAPPED": "The log is capped; the oldest goes first.",
    },
    "process": {
        "ISOLATION-NO-ORPHAN": "Killing an instance kills its whole tree; a killed coordinator leaves no orphan.",
        "ISOLATION-NO-DOWNGRADE": "Asking for an isolation the host can't give is an error.",
        "ISOLATION-OWN-DESCRIPTORS": "An agent has no descriptors but its own, and no_new_privs.",
        "ISOLATION-LIMITS": "The manifest's limits hold per instance.",
        "PRELOAD-SAME-RESULT": "With preload off, a plain start gives the same result as a fork.",
        "LINK-ONE-DELTA-PER-LOOP-TURN": "Operations are sent at most once per loop turn, before the turn completes.",
        "LINK-FLOW-CONTROL": "An agent more than 4 MiB ahead of the coordinator waits.",
        "AGENT-KILL9-SERVES-AGAIN": "An agent killed by SIGKILL serves again.",
        "ORPHANS-ENDED-AT-START": "A coordinator started again ends orphans of its own first.",
    },
}
