"""A task definition as ECS describes it, read from standard input, as one to register: with another image in one container.

aws ecs describe-task-definition … --query taskDefinition | python3 with_image.py gateway REGISTRY/podium:COMMIT
"""

import json
import sys
from typing import Any, Final

GIVEN: Final = (
    "family", "taskRoleArn", "executionRoleArn", "networkMode", "containerDefinitions", "volumes", "placementConstraints",
    "requiresCompatibilities", "cpu", "memory", "pidMode", "ipcMode", "proxyConfiguration", "inferenceAccelerators",
    "ephemeralStorage", "runtimePlatform", "enableFaultInjection",
)  # fmt: skip
"""What may be registered; the rest of a description is what ECS adds."""


def with_image(definition: dict[str, Any], container: str, image: str) -> dict[str, Any]:
    """The definition to register.

    Raises:
        ValueError: it has no such container.
    """
    made: dict[str, Any] = {name: definition[name] for name in GIVEN if name in definition}
    if container not in {found["name"] for found in made["containerDefinitions"]}:
        raise ValueError(f"the task definition has no container {container!r}")
    made["containerDefinitions"] = [
        {**found, "image": image} if found["name"] == container else found for found in made["containerDefinitions"]
    ]
    return made


if __name__ == "__main__":
    json.dump(with_image(json.load(sys.stdin), *sys.argv[1:]), sys.stdout)
