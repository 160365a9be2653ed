"""What the StreamUpdate protocol promises."""

SOURCE = "stream protocol"

PROMISES: dict[str, dict[str, str]] = {
    "connection": {
        "STREAM-CONNECTED-FIRST": "The first frame is connected, with protocol, status and last_seq.",
        "STREAM-RESUME-AFTER": "With after=n a connection gets every event from n + 1 on, in order, once.",
        "STREAM-MANY-CONNECTIONS": "Every one of many connections gets every event.",
        "STREAM-PING": "A peer silent for 60 s is gone; pings go out every 20 s.",
        "WS-SLOW-CONSUMER-4408": "A connection that can't keep up is closed with 4408 and slows nobody else.",
        "WS-RESUME-GONE-4410": "Resuming before what the journal keeps closes with 4410.",
        "WS-BAD-FRAMES-4400": "Three bad frames close with 4400.",
        "WS-NO-INSTANCE-4404": "A connection to an unknown instance closes with 4404.",
        "WS-STOPPED-4409": "A connection to a stopped instance closes with 4409.",
        "WS-FRAME-TOO-LARGE-1009": "A frame over 1 MiB closes with 1009.",
        "GATEWAY-REATTACHES": "Client connections live on while the coordinator is restarted.",
    },
    "events": {
        "STREAM-ENVELOPE": "Every event is enveloped with messageType, content, agentId, instanceId, turnId, seq and ts.",
        "STREAM-JOURNAL-FIRST": "An event is in the journal before any client sees it.",
        "STREAM-ALIASES": "A reader accepts every alias of an event's name.",
        "STREAM-CHECKPOINT-LAST": "checkpoint is the last event of a turn.",
        "STREAM-USER-MESSAGES": "What a client sent is an event, so that every client sees the whole conversation.",
    },
    "commands": {
        "COMMAND-IDEMPOTENT-BY-ID": "The same id within 24 h is acknowledged again and done once.",
        "COMMAND-NACK-KEEPS-CONNECTION": "A frame that breaks the schema is answered by nack; the connection stays.",
        "ON-BUSY-QUEUE": "Turns run one at a time, in order.",
        "ON-BUSY-REJECT": "on_busy=reject answers nack busy while a turn runs.",
        "ON-BUSY-INTERRUPT": "on_busy=interrupt cancels the running turn and runs the message.",
        "QUEUE-LIMIT": "The 1,001st waiting message is answered by nack quota_exceeded.",
        "STEER": "steer reaches the running turn; without one it is answered by nack no_turn.",
        "TURN-CANCEL": "cancel ends the running turn with stop_reason cancelled.",
        "TURN-CANCEL-IGNORED-RESTART": "An agent that ignores cancel for 10 s is restarted with its state kept.",
        "CONFIG-UPDATE-NEEDS-PERMISSION": "config_update needs config:write.",
    },
    "requests": {
        "REQUEST-LISTED": "An open question or permission is listed by the API.",
        "REQUEST-FIRST-ANSWER-WINS": "The first answer wins; later ones are nack already_resolved.",
        "REQUEST-REPLAYED-ON-ATTACH": "Open requests are sent again on attach.",
        "REQUEST-DEADLINE-DEFAULT": "At its deadline a request takes its default, outcome expired.",
        "REQUEST-CANCELLED-WITH-TURN": "A turn that is cancelled cancels its requests.",
        "REQUEST-SURVIVES-CRASH": "A request outlives a crash of agent and coordinator.",
    },
    "guarantees": {
        "STREAM-ACKED-PROCESSED": "An acknowledged message is processed, whatever dies.",
        "STREAM-NO-GAP": "Events have no gap and no duplicate seq, over any number of reconnects and crashes.",
        "STREAM-STATE-EQUALS-JOURNAL": "State and conversation after a crash equal those of the last durable event.",
        "AGENT-CRASH-RERUN-ATTEMPT": "A turn run again after a crash says so by attempt.",
        "AGENT-ONE-PLACE": "One agent runs in at most one place.",
    },
}
