"""Which endpoint answers a request: pure matching of method and path."""

from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote_to_bytes

import msgspec

from podium.base.http.endpoint import Endpoint, Param
from podium.wire.errors import ErrorCode, PodiumError


class MethodNotAllowedError(PodiumError):
    """The path exists, the method does not. `allowed` is what it takes."""

    def __init__(self, allowed: list[str]) -> None:
        super().__init__(ErrorCode.METHOD_NOT_ALLOWED, f"this route takes {', '.join(allowed)}")
        self.allowed = allowed


class _Node:
    def __init__(self) -> None:
        self.fixed: dict[str, _Node] = {}
        self.parameter: _Node | None = None
        self.digits: _Node | None = None
        self.spanning: _Node | None = None
        self.endpoints: dict[str, Endpoint] = {}


class Routes:
    """The endpoints by path and method. A fixed part wins over a parameter, that over one that spans parts.

    Raises:
        ValueError: two endpoints share path and method.
    """

    def __init__(self, endpoints: Iterable[Endpoint]) -> None:
        self._root = _Node()
        for endpoint in endpoints:
            self._add(endpoint)

    def match(self, method: str, raw_path: bytes) -> tuple[Endpoint, dict[str, Any]]:
        """The endpoint and the values of its path's parameters, each of its declared type.

        Raises:
            PodiumError: `not_found`, `method_not_allowed`, or what the parameter declares for a value that can't be one.
        """
        parts = [unquote_to_bytes(part) for part in raw_path.split(b"/")[1:]]
        found = _find(self._root, parts, 0, ())
        if found is None:
            raise PodiumError(ErrorCode.NOT_FOUND, "there is no such route")
        node, values = found
        endpoint = node.endpoints.get(method) or (node.endpoints.get("GET") if method == "HEAD" else None)
        if endpoint is None:
            raise MethodNotAllowedError(sorted(node.endpoints))
        return endpoint, _typed(endpoint, values)

    def _add(self, endpoint: Endpoint) -> None:
        node = self._root
        for part in endpoint.path.split("/")[1:]:
            param = endpoint.params.get(part[1:-1], _ONE_PART) if part.startswith("{") else _ONE_PART
            if param.spans:
                node.spanning = node.spanning or _Node()
                node = node.spanning
            elif param.digits:
                node.digits = node.digits or _Node()
                node = node.digits
            elif part.startswith("{"):
                node.parameter = node.parameter or _Node()
                node = node.parameter
            else:
                node = node.fixed.setdefault(part, _Node())
        if endpoint.method in node.endpoints:
            raise ValueError(f"two endpoints for {endpoint.method} {endpoint.path}")
        node.endpoints[endpoint.method] = endpoint


def parameter_names(path: str) -> list[str]:
    """Names of the parameters in a path template, in order."""
    return [part[1:-1] for part in path.split("/") if part.startswith("{")]


def _find(node: _Node, parts: list[bytes], at: int, values: tuple[str, ...]) -> tuple[_Node, tuple[str, ...]] | None:
    if at == len(parts):
        return (node, values) if node.endpoints else None
    part = _text(parts[at])
    if part is not None:
        fixed = node.fixed.get(part)
        if fixed is not None and (found := _find(fixed, parts, at + 1, values)) is not None:
            return found
        if node.digits is not None and part.isascii() and part.isdigit():
            return _find(node.digits, parts, at + 1, (*values, part))
        if node.parameter is not None and part:
            return _find(node.parameter, parts, at + 1, (*values, part))
    return _find_spanning(node.spanning, parts, at, values) if node.spanning is not None else None


def _find_spanning(
    node: _Node, parts: list[bytes], at: int, values: tuple[str, ...]
) -> tuple[_Node, tuple[str, ...]] | None:
    # What can follow is short, so only the last few parts have to be tried.
    for upto in (*range(max(at + 1, len(parts) - _depth(node)), len(parts)), len(parts)):
        spanned = b"/".join(parts[at:upto]).decode("utf-8", "surrogateescape")
        if (found := _find(node, parts, upto, (*values, spanned))) is not None:
            return found
    return None


def _depth(node: _Node) -> int:
    """How many parts the longest route below has (a spanning one has no bound, and there is none below another)."""
    below = [*node.fixed.values(), *(each for each in (node.parameter, node.digits) if each is not None)]
    return 1 + max(map(_depth, below)) if below else 0


def _text(part: bytes) -> str | None:
    try:
        return part.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _typed(endpoint: Endpoint, values: tuple[str, ...]) -> dict[str, Any]:
    typed: dict[str, Any] = {}
    for name, value in zip(parameter_names(endpoint.path), values, strict=True):
        param = endpoint.params.get(name)
        if param is None:
            typed[name] = value
            continue
        if param.spans:
            typed[name] = value
            continue
        if "\n" in value:
            raise PodiumError(param.missing, f"{name} can't be that")
        try:
            typed[name] = msgspec.convert(value, param.type, strict=False)
        except msgspec.ValidationError as error:
            raise PodiumError(param.missing, f"no {name} looks like that") from error
    return typed


_ONE_PART = Param()
