"""What an agent offers an editor: options (its mode among them), commands, images. Declared under `acp` in its configuration.

```toml
[config.acp]
images = true

[[config.acp.options]]
id = "mode"                                   # the option of category "mode" is also offered as modes
name = "Mode"
category = "mode"
values = ["ask", { value = "code", name = "Code", description = "Changes files without asking" }]
default = "ask"                               # else the first value; an option without values is on or off

[[config.acp.commands]]
name = "review"
description = "Reviews what changed"
hint = "what to look at"
```

What a person chose goes to the agent with every message, as `settings`: `message["settings"]["mode"]`.
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import msgspec

from diminuendo.acp.rpc.messages import INVALID_PARAMS, RpcError

Setting = str | bool
"""The value of an option: one of its values, or whether it is on."""

MODE: Final = "mode"
"""Category of the option that is the session's mode."""


class Value(msgspec.Struct, frozen=True):
    """A value of an option."""

    value: str
    name: str = ""
    description: str | None = None

    def as_json(self, key: str) -> dict[str, Any]:
        """The value as ACP writes it; `key` names it (`id` for modes)."""
        told = {key: self.value, "name": self.name or self.value}
        return told if self.description is None else {**told, "description": self.description}


class Option(msgspec.Struct, frozen=True):
    """Something a person can choose. Without `values` it is on or off."""

    id: str
    name: str = ""
    description: str | None = None
    category: str | None = None
    values: list[Value | str] = []
    default: Setting | None = None

    @property
    def choices(self) -> list[Value]:
        """Its values."""
        return [Value(value) if isinstance(value, str) else value for value in self.values]

    def takes(self, setting: object) -> bool:
        """Whether it can have this value."""
        if not self.values:
            return isinstance(setting, bool)
        return any(choice.value == setting for choice in self.choices)

    @property
    def initial(self) -> Setting:
        """Its value when nobody chose."""
        if self.default is not None and self.takes(self.default):
            return self.default
        return self.choices[0].value if self.values else False


class Command(msgspec.Struct, frozen=True):
    """A command: `/name` and whatever follows, at the beginning of a prompt."""

    name: str
    description: str = ""
    hint: str | None = None

    def as_json(self) -> dict[str, Any]:
        """The command as ACP writes it."""
        told: dict[str, Any] = {"name": self.name, "description": self.description}
        return told if self.hint is None else {**told, "input": {"hint": self.hint}}


class Offers(NamedTuple):
    """All of it."""

    options: tuple[Option, ...] = ()
    commands: tuple[Command, ...] = ()
    images: bool = False

    @property
    def mode(self) -> Option | None:
        """The option that is the session's mode."""
        return next((option for option in self.options if option.category == MODE and option.values), None)

    def settled(self, chosen: Mapping[str, Any]) -> dict[str, Setting]:
        """The value of each option, where `chosen` says what a person chose; what it says of others does not count."""
        return {
            option.id: chosen[option.id] if option.takes(chosen.get(option.id)) else option.initial
            for option in self.options
        }

    def check(self, option_id: str, setting: object) -> None:
        """Refuses what is no option, or no value of it.

        Raises:
            RpcError: `data` names what there is.
        """
        option = next((option for option in self.options if option.id == option_id), None)
        if option is None:
            known = [option.id for option in self.options]
            raise RpcError(INVALID_PARAMS, f"there is no option {option_id!r}", {"options": known})
        if not option.takes(setting):
            values: list[Setting] = [*(choice.value for choice in option.choices)] or [True, False]
            raise RpcError(INVALID_PARAMS, f"{option_id} can't be {setting!r}", {"values": values})

    def as_options(self, settings: Mapping[str, Setting], *, booleans: bool) -> list[dict[str, Any]]:
        """`configOptions`; those that are on or off only for clients that know such."""
        return [_as_option(option, settings[option.id]) for option in self.options if option.values or booleans]

    def as_modes(self, settings: Mapping[str, Setting]) -> dict[str, Any] | None:
        """`modes`; None when the agent has none."""
        if self.mode is None:
            return None
        return {
            "currentModeId": settings[self.mode.id],
            "availableModes": [choice.as_json("id") for choice in self.mode.choices],
        }


def read_offers(config: Mapping[str, Any]) -> Offers:
    """What the configuration of an agent declares; what can't be read is left out."""
    declared = config.get("acp")
    if not isinstance(declared, dict):
        return Offers()
    options = {option.id: option for option in _each(declared.get("options"), Option)}
    commands = {command.name: command for command in _each(declared.get("commands"), Command)}
    return Offers(tuple(options.values()), tuple(commands.values()), declared.get("images") is True)


def _each(items: Any, wanted: type[Any]) -> list[Any]:
    found = []
    for item in items if isinstance(items, list) else ():
        try:
            found.append(msgspec.convert(item, wanted))
        except msgspec.ValidationError:
            continue  # an author's mistake costs that one entry
    return found


def _as_option(option: Option, setting: Setting) -> dict[str, Any]:
    told: dict[str, Any] = {"id": option.id, "name": option.name or option.id}
    if option.description is not None:
        told["description"] = option.description
    if option.category is not None:
        told["category"] = option.category
    if not option.values:
        return {**told, "type": "boolean", "currentValue": setting}
    return {
        **told,
        "type": "select",
        "currentValue": setting,
        "options": [choice.as_json("value") for choice in option.choices],
    }
