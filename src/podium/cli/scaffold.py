"""The files of a new agent."""

from typing import Final

_MANIFEST: Final = """\
[agent]
type = "{name}"
version = "1.0.0"
runtime = "python"
entry = "agent:{class_name}"
description = "Answers, and remembers how often it was asked"

[config]                    # defaults; ctx.get_config("greeting") reads them
greeting = "Hello"

[limits]                    # all of it optional
memory = "512MiB"
turn_timeout = "30m"
idle_timeout = "15m"        # sleeps after this long without a message; "0" = never
"""

_AGENT: Final = '''\
"""{name}: answers, and remembers how often it was asked."""

from podium.agent import AgentContext, BaseAgent, DeltaState


class {class_name}(BaseAgent):
    class State(DeltaState):
        """What the agent remembers. Changing it is saving it, also over crashes and restarts."""

        _version = 1
        _entity_type = "{name}"
        count: int = 0
        topics: list[str] = []

    async def on_message(self, ctx: AgentContext, message: dict) -> None:
        ctx.state.count += 1
        ctx.state.topics.append(message["text"])
        greeting = ctx.get_config("greeting", "Hello")
        reply = await ctx.send_message()
        await reply.stream_token(f"{{greeting}}! You said {{message['text']!r}}. ")
        await reply.stream_token(f"That was message {{ctx.state.count}}.", final=True)
'''

_TEST: Final = '''\
"""Run with plain pytest; no server is needed."""

import asyncio

from agent import {class_name}
from podium.testing import AgentHarness


def test_it_answers_and_counts() -> None:
    async def conversation() -> None:
        async with AgentHarness({class_name}, config={{"greeting": "Hello"}}) as harness:
            await harness.send("first")
            turn = await harness.send("second")
            assert turn.text == "Hello! You said 'second'. That was message 2."
            assert harness.state["count"] == 2

    asyncio.run(conversation())
'''

_README: Final = """\
# {name}

| file | what it is |
| --- | --- |
| `agent.py` | the agent |
| `podium.toml` | its manifest: type, version, entry, limits |
| `test_agent.py` | its test: `python -m pytest` |

```text
podium dev {name}       run it, restart it at every save, talk to it
podium deploy {name}    upload this version; change `version` for the next one
podium chat {name}      talk to what is deployed
```

Python packages it needs go into `requirements.txt` (or `pyproject.toml`); each deployment gets an environment of its own.
"""

_IGNORE: Final = "test_*.py\n.env\n"


def python_files(name: str) -> dict[str, str]:
    """File name → text of a new Python agent called `name` (a valid agent type)."""
    words = {"name": name, "class_name": class_name(name)}
    return {
        "podium.toml": _MANIFEST.format(**words),
        "agent.py": _AGENT.format(**words),
        "test_agent.py": _TEST.format(**words),
        "README.md": _README.format(**words),
        ".podiumignore": _IGNORE,
        ".gitignore": "__pycache__/\n.podium/\n.venv/\n.env\n",
    }


def class_name(name: str) -> str:
    """A class name from an agent type: `my-agent` → `MyAgent`."""
    made = "".join(word.capitalize() for word in name.split("-") if word)
    return made if made[:1].isalpha() else f"Agent{made}"
