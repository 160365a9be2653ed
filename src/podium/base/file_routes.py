"""The file and workspace routes as values, once: the coordinator serves them, the gateway documents and forwards them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final

from msgspec import Meta

from podium.base.http.endpoint import EVENT_STREAM, Access, Binary, Endpoint, Handler, HeaderParam, Media, Param
from podium.wire import files
from podium.wire.errors import ErrorCode
from podium.wire.rest import Permission

TAG: Final = "files"

OCTETS: Final = Media(
    "application/octet-stream", {"type": "string", "format": "binary"}, "The bytes; the type is guessed"
)
UNIFIED: Final = Media("text/x-diff", description="Unified diff")
GZIP: Final = Media("application/gzip", {"type": "string", "format": "binary"})

PATH: Final = Param(
    Annotated[str, Meta(min_length=1, max_length=4096)],
    ErrorCode.INVALID_PATH,
    (
        "Path in the workspace; its slashes may stay as they are, or be encoded (`%2F`). One that itself ends in `history` or "
        "`at/3` needs them encoded"
    ),
    spans=True,
)
ITERATION: Final = Param(
    Annotated[str, Meta(pattern=r"^[0-9]{1,15}$")], ErrorCode.ITERATION_NOT_FOUND, "Iteration", digits=True
)

_ACCEPT_JSON: Final = HeaderParam("Accept", "`application/json` for the content within JSON (up to 16 MiB)")
_READING: Final = (
    HeaderParam("Range", "Bytes of the file; one range"),
    HeaderParam("If-None-Match", "Hashes you have; 304 when the file has one of them"),
    HeaderParam("If-Range", "The hash that `Range` is about; with another one the whole file is answered"),
)
_WRITING: Final = (
    HeaderParam("If-Match", "Do it only when the file has this ETag or hash (in quotes), or (`*`) when there is one"),
    HeaderParam("If-None-Match", "`*`: do it only when nothing is there", {"type": "string", "const": "*"}),
)
_RESUME: Final = HeaderParam("Last-Event-ID", "Resumes an event stream after this iteration")

_READ_ERRORS: Final = (ErrorCode.INVALID_PATH, ErrorCode.FILE_NOT_FOUND, ErrorCode.WORKSPACE_UNAVAILABLE)
_MOMENT_ERRORS: Final = (*_READ_ERRORS, ErrorCode.ITERATION_NOT_FOUND)
_WRITE_ERRORS: Final = (
    *_READ_ERRORS,
    ErrorCode.FILE_CHANGED,
    ErrorCode.QUOTA_EXCEEDED,
    ErrorCode.MESSAGE_TOO_LARGE,
    ErrorCode.UNSUPPORTED_MEDIA_TYPE,
)

_BODIES: Final = {200: (OCTETS, files.FileContent), 206: OCTETS, 304: None}


@dataclass(frozen=True)
class Place:
    """Where the routes are: below `prefix`, whose one parameter is `name`. `access` None: what each route asks of a key.

    `operation` makes the name of an operation in the document, which must be unique; `errors` are those of getting there.
    """

    prefix: str
    name: str
    param: Param
    access: Access | None = None
    operation: Callable[[str], str] = str
    errors: tuple[ErrorCode, ...] = ()


def file_endpoints(place: Place, handler: Callable[[str], Handler]) -> list[Endpoint]:
    """All routes at a place; `handler` gives each its handler, by name."""
    return [_endpoint(place, handler, name, facts) for name, facts in _ROUTES.items()]


def _endpoint(place: Place, handler: Callable[[str], Handler], name: str, facts: Mapping[str, Any]) -> Endpoint:
    facts = dict(facts)
    method, path = facts.pop("method"), place.prefix + facts.pop("path")
    needs = Permission.FILES_READ if method == "GET" else Permission.FILES_WRITE
    params = {place.name: place.param, **{key: param for key, param in _PARAMS.items() if f"{{{key}}}" in path}}
    return Endpoint(
        method=method,
        path=path,
        handler=_named(handler(name), place.operation(name)),
        access=place.access if place.access is not None else needs,
        tag=TAG,
        params=params,
        errors=(*facts.pop("errors"), *place.errors),
        **facts,
    )


def _named(handler: Handler, name: str) -> Handler:
    async def handle(call: Any) -> Any:
        return await handler(call)

    handle.__name__ = name
    return handle


_PARAMS: Final = {"path": PATH, "iteration": ITERATION}

_ROUTES: Final[dict[str, dict[str, Any]]] = {
    "list_files": {
        "method": "GET",
        "path": "/files",
        "summary": "List files",
        "description": (
            "What the directory `path` holds, `depth` levels deep, now or at a moment. Parents come before what they hold, names "
            "are sorted. Paths the manifest excludes from history are not shown."
        ),
        "query": files.ListingQuery,
        "answers": {200: files.FileListing},
        "errors": _MOMENT_ERRORS,
    },
    "read_file": {
        "method": "GET",
        "path": "/files/{path}",
        "summary": "Read a file",
        "description": (
            "Its newest version, also while the agent sleeps. `ETag` is the hash, `Podium-Iteration` what made it. Symbolic "
            "links are followed inside the workspace and never out of it."
        ),
        "headers": (_ACCEPT_JSON, *_READING),
        "answers": _BODIES,
        "errors": (*_READ_ERRORS, ErrorCode.RANGE_NOT_SATISFIABLE, ErrorCode.MESSAGE_TOO_LARGE),
    },
    "file_history": {
        "method": "GET",
        "path": "/files/{path}/history",
        "summary": "List the versions of a file",
        "description": "Newest first; follows renames.",
        "query": files.HistoryQuery,
        "answers": {200: files.FileHistory},
        "errors": _READ_ERRORS,
    },
    "read_file_at": {
        "method": "GET",
        "path": "/files/{path}/at/{iteration}",
        "summary": "Read a file as it was",
        "description": "At that moment of the workspace: its newest version up to `iteration`.",
        "headers": (_ACCEPT_JSON, *_READING),
        "answers": _BODIES,
        "errors": (*_MOMENT_ERRORS, ErrorCode.RANGE_NOT_SATISFIABLE, ErrorCode.MESSAGE_TOO_LARGE),
    },
    "write_file": {
        "method": "PUT",
        "path": "/files/{path}",
        "summary": "Write a file",
        "description": "Its directories are made. 201: it is new. Bytes equal to what is there make no new iteration.",
        "headers": _WRITING,
        "body": Binary("The content"),
        "answers": {200: files.FileWritten, 201: files.FileWritten},
        "errors": _WRITE_ERRORS,
    },
    "upload_file": {
        "method": "POST",
        "path": "/files/{path}",
        "summary": "Upload a file",
        "description": "The same as `PUT`.",
        "headers": _WRITING,
        "body": Binary("The content"),
        "answers": {200: files.FileWritten, 201: files.FileWritten},
        "errors": _WRITE_ERRORS,
    },
    "remove_file": {
        "method": "DELETE",
        "path": "/files/{path}",
        "summary": "Remove a file",
        "description": "Or a directory with all it holds. What was there stays in the history.",
        "headers": _WRITING[:1],
        "answers": {200: files.FileRemoved},
        "errors": (*_READ_ERRORS, ErrorCode.FILE_CHANGED, ErrorCode.QUOTA_EXCEEDED),
    },
    "list_changes": {
        "method": "GET",
        "path": "/workspace/changes",
        "summary": "List changes of the workspace, or follow them",
        "description": "Oldest first. With `Accept: text/event-stream` those after `after` (or Last-Event-ID), then live ones.",
        "query": files.ChangesQuery,
        "headers": (_RESUME,),
        "answers": {200: (files.WorkspaceChanges, EVENT_STREAM)},
        "errors": _READ_ERRORS,
    },
    "compare": {
        "method": "GET",
        "path": "/workspace/diff",
        "summary": "Compare two moments",
        "description": (
            "Paths that differ, a directory before what it holds. A page may have fewer than `limit`, even none, and yet a "
            "`next_cursor`: much was looked at. With `Accept: text/x-diff` as text that `git apply` reads."
        ),
        "query": files.DiffQuery,
        "answers": {200: (files.WorkspaceDiff, UNIFIED)},
        "errors": _MOMENT_ERRORS,
    },
    "restore": {
        "method": "POST",
        "path": "/workspace/restore",
        "summary": "Take the workspace back",
        "description": "Or one path of it. Only what differs is written, and recorded, so that it can be undone.",
        "body": files.RestoreRequest,
        "answers": {200: files.Restored},
        "errors": (*_MOMENT_ERRORS, ErrorCode.QUOTA_EXCEEDED),
        "examples": {"body": {"iteration": 1}},
    },
    "list_checkpoints": {
        "method": "GET",
        "path": "/workspace/checkpoints",
        "summary": "List checkpoints",
        "description": "Named moments, newest first: ends of turns, and those somebody named.",
        "query": files.CheckpointsQuery,
        "answers": {200: files.CheckpointList},
        "errors": _READ_ERRORS,
    },
    "make_checkpoint": {
        "method": "POST",
        "path": "/workspace/checkpoints",
        "summary": "Name this moment",
        "body": files.CheckpointRequest,
        "answers": {201: files.WorkspaceCheckpoint},
        "errors": _READ_ERRORS,
        "examples": {"body": {"label": "before the migration"}},
    },
    "archive": {
        "method": "GET",
        "path": "/workspace/archive",
        "summary": "Download the workspace",
        "description": "As tar.gz, now or as it was; made while it is sent.",
        "query": files.ArchiveQuery,
        "answers": {200: GZIP},
        "errors": _MOMENT_ERRORS,
    },
}
