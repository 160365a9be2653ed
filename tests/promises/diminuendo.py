"""What Diminuendo promises."""

SOURCE = "Diminuendo"

PROMISES: dict[str, dict[str, str]] = {
    "event mapper": {
        "DIM-MAPPER": "Each of Podium's 31 names becomes its client event; no input makes the mapper raise.",
    },
    "sessions": {
        "DIM-ONE-ACTIVATION": "However many need a session's instance at once, one is made.",
        "DIM-RECOVERY": "After a restart a session is attached again where it was, or inactive if its instance is gone.",
        "DIM-CONVERSATION": "A person's program makes a session, sends a message, and is told the whole turn.",
        "DIM-RESUME": "Whoever connects again is told what was missed, each event once and in order.",
        "DIM-FAN-OUT": "All who joined a session are told the same events.",
        "DIM-SLOW-CLIENTS": "A client that is slow misses nothing and holds nobody up.",
        "DIM-ONCE": "A turn that is sent again with its `clientTurnId` is done once.",
        "DIM-ASKING": "What an agent asks is shown to whoever joins, and answered by whoever may.",
        "DIM-TURN-CONTROL": "A running turn is steered and stopped.",
        "DIM-FILES": "Files of the workspace and their versions are seen through the session.",
        "DIM-ARCHIVE": "An archived session lets its agent go, and continues it when it is taken back.",
        "DIM-REPLICAS": "Clients of all replicas are in the same conversations; another replica goes on for one that died.",
        "DIM-DEATHS": "Over the death of the agent, the gateway or the coordinator clients are told the whole turn.",
        "DIM-HEALTH": "`/health` says whether Podium answers and whether its circuit is open.",
        "DIM-UP": "`podium up` runs Diminuendo, too, and the development key opens it.",
        "DIM-IDLE": "A session nobody uses lets its instance go; the next turn continues the same agent.",
        "DIM-DELETE": "With a session its agent and all that is kept of it is erased.",
        "DIM-REWIND": "What lies behind a rewind of the agent is not part of the conversation, until it is undone.",
        "DIM-LAST-OWNER": "A tenant never loses its last owner.",
    },
    "protocol": {
        "DIM-ERRORS": "What is no message is refused with its code, and costs nobody else anything.",
        "DIM-PACE": "A client that sends too fast is told so and when to go on, and others notice nothing.",
        "DIM-TEN-SECONDS": "A client that does not authenticate within ten seconds is turned away.",
    },
    "storage": {
        "DIM-SEQ": "Events of a session are numbered without gap or repetition; nothing is shown that a crash takes back.",
    },
    "authentication": {
        "DIM-TOKENS": "Only a token signed by RS256 or ES256 with a published key, for us and in its time, names somebody.",
        "DIM-ORIGIN": "Browsers connect from pages of allowed origins alone.",
        "DIM-GUESSING": "An address that tries many wrong tokens has to wait.",
        "DIM-TENANTS": "What belongs to another tenant does not exist.",
        "DIM-REVOKED": "An API key that is taken back ends its connections.",
        "DIM-ROTATION": "Keys of the identity provider that come and go are followed, without asking it too often.",
    },
    "acp": {
        "DIM-ACP": "Clients made with the official libraries, and those people use, hold whole conversations over both transports.",
        "DIM-ACP-REPLAY": "A session that is loaded shows the conversation as it was shown when it happened, also after a restart.",
        "DIM-ACP-PERMISSION": "A permission is asked for in the editor, and is allowed, refused, or ends with its turn.",
        "DIM-ACP-CANCEL": "A turn that is cancelled ends as cancelled, whenever it is cancelled.",
        "DIM-ACP-SHARED": "A turn outlives its editor; whoever opens the session sees it and is asked what it asks.",
        "DIM-ACP-BAD-INPUT": "Whatever comes in is answered as JSON-RPC says, and ends no connection.",
        "DIM-ACP-DOOR": "Nobody comes in without a token, and nobody sees another tenant's sessions.",
    },
}
