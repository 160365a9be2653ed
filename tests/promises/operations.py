"""What running the daemons promises."""

SOURCE = "Operations"

PROMISES: dict[str, dict[str, str]] = {
    "configuration": {
        "CONFIG-ONE-REPORT": "Every mistake of a configuration is in one report.",
        "CONFIG-SECRETS-MASKED": "A configured secret is never printed.",
        "CONFIG-NO-OPEN-LISTENER": "A gateway that others can reach does not start without keys.",
        "CONFIG-DOCUMENTED": "Every setting is in the reference with its default and meaning.",
    },
    "limits": {
        "LIMIT-BUDGET": "An agent that has spent its budget is paused, loses nothing, and goes on when there is more.",
    },
    "secrets": {
        "SECRET-BROKERED": "A brokered secret reaches only the hosts its manifest names, and never the agent.",
    },
    "observability": {
        "SIGUSR1-STACKS": "SIGUSR1 prints all stacks and task names, even while the loop hangs.",
    },
}
