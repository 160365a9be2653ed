"""What the client promises."""

SOURCE = "client"

PROMISES: dict[str, dict[str, str]] = {
    "PodiumClient": {
        "CLIENT-BREAKER": "A circuit breaker keeps calls from a service that is down.",
        "CLIENT-RETRY": "What may be sent again is retried with bounded, jittered waits.",
        "CLIENT-RESUME": "A connection resumes after the last event its user saw.",
        "CLIENT-CLOSE-CODES": "Each close code is met by what it asks for: resume, wait, or an error.",
    },
}
