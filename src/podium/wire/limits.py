"""Every limit of the wire, with the sentence that explains it. Sizes are bytes, times are seconds unless named `_MS`."""

FRAME_MAX_BYTES = 1024 * 1024
"""Largest WebSocket frame either side accepts; a larger one closes the connection with 1009."""

LINK_FRAME_MAX_BYTES = 16 * 1024 * 1024
"""Largest frame on the Unix socket between coordinator and agent."""

LINK_AHEAD_MAX_BYTES = 4 * 1024 * 1024
"""How far an agent may be ahead of its coordinator before it waits in `await`."""

PING_INTERVAL_SECONDS = 20.0
"""How often a server pings a WebSocket peer."""

PEER_SILENT_SECONDS = 60.0
"""A peer that sent nothing, not even a pong, for this long is gone."""

SLOW_CONSUMER_MAX_BYTES = 8 * 1024 * 1024
"""A live connection more than this behind is closed with 4408."""

SLOW_CONSUMER_MAX_EVENTS = 10_000
"""A live connection more than this many events behind is closed with 4408."""

BAD_FRAMES_MAX = 3
"""The bad frame that reaches this number closes the connection with 4400."""

QUEUE_MAX_MESSAGES = 1_000
"""Messages that may wait for an agent; one more is refused with `quota_exceeded`."""

COMMAND_MEMORY_MS = 24 * 60 * 60 * 1000
"""How long the id of a command is remembered, so that a repetition is acknowledged and not done again."""

IDEMPOTENCY_KEY_MAX_CHARS = 255
"""Longest accepted `Idempotency-Key`."""

IDEMPOTENCY_MEMORY_MS = 24 * 60 * 60 * 1000
"""How long the answer to an `Idempotency-Key` is kept."""

PAGE_DEFAULT = 100
"""Items of a list answer when `limit` is not given."""

PAGE_MAX = 1_000
"""Most items a list answer ever holds."""

CANCEL_GRACE_SECONDS = 10.0
"""An agent that ignores a cancel for this long is restarted with its state kept."""

CREATE_TIMEOUT_SECONDS = 60.0
"""How long creating an instance may take before it is answered with 504."""

BUNDLE_MAX_BYTES = 1024 * 1024 * 1024
"""Largest accepted bundle as uploaded (compressed)."""

BUNDLE_UNPACKED_MAX_BYTES = 2 * 1024 * 1024 * 1024
"""Largest accepted bundle when unpacked."""

BUNDLE_MAX_MEMBERS = 100_000
"""Most members a bundle may have."""

REQUEST_BODY_MAX_BYTES = 1024 * 1024
"""Largest JSON body of a REST request; a larger one is answered with 413."""

START_FAILURE_LOG_LINES = 50
"""Log lines of the agent that accompany `agent_start_failed`."""

SNAPSHOT_EVERY_DELTAS = 256
"""A snapshot of the state is taken after this many deltas …"""

SNAPSHOT_EVERY_BYTES = 256 * 1024
"""… or after deltas of this size, whichever comes first."""
