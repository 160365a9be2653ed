"""What Diminuendo promises."""

SOURCE = "Diminuendo"

PROMISES: dict[str, dict[str, str]] = {
    "event mapper": {
        "DIM-MAPPER": "Each of Podium's 31 names becomes its client event; no input makes the mapper raise.",
    },
    "sessions": {
        "DIM-ONE-ACTIVATION": "However many need a session's instance at once, one is made.",
        "DIM-RECOVERY": "After a restart a session is attached again where it was, or inactive if its instance is gone.",
        "DIM-LAST-OWNER": "A tenant never loses its last owner.",
    },
    "protocol": {
        "DIM-ERRORS": "What is no message is refused with its code, and costs nobody else anything.",
        "DIM-TEN-SECONDS": "A client that does not authenticate within ten seconds is turned away.",
    },
    "storage": {
        "DIM-SEQ": "Events of a session are numbered without gap or repetition; nothing is shown that a crash takes back.",
    },
    "authentication": {
        "DIM-TOKENS": "Only a token signed by RS256 or ES256 with a published key, for us and in its time, names somebody.",
        "DIM-ROTATION": "Keys of the identity provider that come and go are followed, without asking it too often.",
    },
}
