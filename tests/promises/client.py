"""What the client promises."""

SOURCE = "client"

PROMISES: dict[str, dict[str, str]] = {
    "PodiumClient": {
        "CLIENT-BREAKER": "A circuit breaker keeps calls from a service that is down.",
        "CLIENT-RETRY": "What may be sent again is retried with bounded, jittered waits.",
        "CLIENT-RESUME": "A connection resumes after the last event its user saw.",
        "CLIENT-SESSIONS": "Events of a session come once and in order, over connections that are cut.",
        "CLIENT-BROWSER": "A page of an allowed origin uses agents in a real browser; a cut connection and a reload lose nothing.",
        "CLIENT-CLOSE-CODES": "Each close code is met by what it asks for: resume, wait, or an error.",
    },
    "commands": {
        "CLI-EXIT-CODES": "Every error has one exit code, translated in one place.",
        "CLI-UP-NOTHING-LEFT": "`podium up`, stopped or killed, leaves no process behind.",
        "CLI-UP-RESTARTS": "`podium up` starts a daemon that dies again, and gives up with the reason when it can't run.",
        "CLI-SECRETS-UNSEEN": "No key stands in a process list, a log, or a file others may read.",
        "CLI-DEV-KEEPS": "`podium dev` restarts the agent at a save, in under a second, with what it knows.",
        "CLI-TERMINAL-SAFE": "What an agent says can't steer the terminal of whoever reads it.",
    },
}
