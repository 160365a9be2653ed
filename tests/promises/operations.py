"""What running the daemons promises."""

SOURCE = "Operations"

PROMISES: dict[str, dict[str, str]] = {
    "configuration": {
        "CONFIG-ONE-REPORT": "Every mistake of a configuration is in one report.",
        "CONFIG-SECRETS-MASKED": "A configured secret is never printed.",
        "CONFIG-NO-OPEN-LISTENER": "A gateway that others can reach does not start without keys.",
        "CONFIG-DOCUMENTED": "Every setting is in the reference with its default and meaning.",
        "CONFIG-CLUSTER-WHOLE": "What a cluster needs and is not given is named at the start, and nothing runs without it.",
    },
    "limits": {
        "LIMIT-DISK-RESERVE": "A disk down to its reserve takes nothing on, loses nothing, and goes on when there is room.",
        "LIMIT-TENANT": "What a tenant may have and do is limited, by configuration or by its key; beyond, the answer says which limit.",
        "LIMIT-BUDGET": "An agent that has spent its budget is paused, loses nothing, and goes on when there is more.",
        "LIMIT-TENANT-BUDGET": "Agents of a tenant that has spent its allowance on whichever hosts are paused, lose nothing, and go on when there is more.",
        "LIMIT-MEMORY-TOLD": "An end for lack of memory says so, with the limit and the most that was used; no other end does.",
    },
    "isolation": {
        "ISOLATION-SANDBOX": "At level sandbox an agent gets nothing that is not its own, and a read-only system.",
    },
    "upgrades": {
        "UPGRADE-DATA": "What the previous release wrote is there after an upgrade, and goes on.",
        "UPGRADE-ROLLING": "Hosts of the previous release and of this one serve side by side; agents go over without losing anything.",
    },
    "audit": {
        "AUDIT-ADMINISTRATION": "Every administrative action, done or refused, is written down with who asked; never what is secret.",
    },
    "secrets": {
        "SECRET-BROKERED": "A brokered secret reaches only the hosts its manifest names, and never the agent.",
    },
    "observability": {
        "TRACE-ONE": "One trace leads from a client's request through gateway and coordinator into the agent, in either language.",
        "TRACE-STREAM": "On a stream each command continues its own trace, else that of the connection's request, else begins one.",
        "TRACE-GEN-AI": "What models were used and what they took is told of each turn in the terms of OpenTelemetry.",
        "TRACE-PASSED-ON": "Without a collector trace contexts are passed on, and nothing waits for one that is away.",
        "METRICS-NAMED": "Every metric is named in one file with kind, unit and meaning, and shown and sent as that says.",
        "METRICS-KEY": "A key for metrics reads a coordinator's metrics and nothing else.",
        "METRICS-USED": "Dashboard and alerts use only metrics there are, and each alert has a page that tells what to do.",
        "LOGS-JOINED": "Log records name the trace, the request and the instance they are about.",
        "SIGUSR1-STACKS": "SIGUSR1 prints all stacks and task names, even while the loop hangs.",
    },
    "deployment": {
        "DEPLOY-TERRAFORM-VALID": "The Terraform of `deploy/` is well formed and valid against the schema of AWS.",
        "DEPLOY-NO-SECRET-IN-STATE": "No password or key is in a plan or a state file, and a second apply changes nothing.",
        "DEPLOY-POLICIES": "Each finding of a policy scanner in Terraform and Dockerfile is fixed or has a reason.",
        "DEPLOY-AGREES": "Variables, names and ports in Terraform are those the daemons read.",
        "DEPLOY-IMAGE-RUNS": "The image's entry points bring up agents in both languages, without root where nothing needs it.",
        "DEPLOY-RUN-LINE": "The documented `docker run` gives all that a container needs.",
        "DEPLOY-IMAGE-PINNED": "The Dockerfile is lint-free, and everything it takes from elsewhere is pinned.",
        "DEPLOY-COMPOSE-AGREES": "The compose file gives each daemon a configuration that it accepts, and has no secret in it.",
        "DEPLOY-ROLLS": "`build_image.sh --deploy` pushes a commit once and rolls the services that run, coordinators first.",
        "DEPLOY-LEAST-PRIVILEGE": "A service on AWS may do what it needs; nothing is privileged, and only coordinators mount.",
    },
}
