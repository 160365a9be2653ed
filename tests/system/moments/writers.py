"""An agent that does to its files what it is told, and what tests ask of it."""

from typing import Any

from tests.system.api import Answer, Caller


async def said(caller: Caller, instance_id: str, text: str) -> tuple[str, str]:
    """The answer to a message, and its turn."""
    answer = await caller("POST", f"/api/v1/instances/{instance_id}/messages?wait=true", json={"text": text})
    assert answer.status == 200, answer.text
    return answer.body["text"], answer.body["turn_id"]


async def fork(caller: Caller, source_id: str, **body: Any) -> Answer:
    """Forks an agent."""
    return await caller("POST", f"/api/v1/agents/{source_id}/fork", json=body)


async def rewind(caller: Caller, agent_id: str, at: str | int, query: str = "") -> Answer:
    """Takes an agent back."""
    return await caller("POST", f"/api/v1/agents/{agent_id}/rewind{query}", json={"at": at})


async def items(caller: Caller, instance_id: str, what: str) -> list[dict[str, Any]]:
    """All of a list of the instance: messages, events."""
    found: list[dict[str, Any]] = []
    cursor = ""
    while True:
        page = (await caller("GET", f"/api/v1/instances/{instance_id}/{what}?limit=1000{cursor}")).body
        found += page["items"]
        if page["next_cursor"] is None:
            return found
        cursor = f"&cursor={page['next_cursor']}"
