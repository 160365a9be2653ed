"""The invariants of an agent's databases, checked row by row; each finding is a sentence a person can act on."""

from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, NamedTuple

from podium.coordinator.adapters.store.database import KINDS, Database, read_only
from podium.coordinator.adapters.store.errors import StoreDamagedError, StoreError
from podium.coordinator.adapters.store.states import (
    apply_change,
    decode_document,
    unpack,
)

SHOWN_AT_MOST = 20
"""Findings of one check beyond this are counted, not listed."""

_PAGE = 1024
_PAGES_CHECK = "PRAGMA quick_check(20)"

_GAPS = (
    "SELECT seq, before FROM (SELECT seq, lag(seq) OVER (ORDER BY seq) AS before FROM event) "
    "WHERE before IS NOT NULL AND seq <> before + 1"
)
_VERSION_GAPS = (
    "SELECT version, before FROM (SELECT version, lag(version, 1, 0) OVER (ORDER BY version) AS before FROM delta) "
    "WHERE version <> before + 1"
)


class _Check(NamedTuple):
    """SQL that gives one row per violation, and the sentence its columns are put into."""

    sql: str
    sentence: str


_EVENT_CHECKS: tuple[_Check, ...] = (
    _Check(_GAPS, "events {1} and {0} follow each other: what is between is missing"),
    _Check(
        "SELECT seq, type FROM event WHERE content <> X'' AND NOT json_valid(CAST(content AS TEXT))",
        "event {0} ({1}) has a content that is no JSON",
    ),
    _Check(
        "SELECT (SELECT min(seq) FROM event), first_seq FROM mark WHERE (SELECT min(seq) FROM event) <> first_seq",
        "the oldest event is {0}, but the journal should begin at {1}",
    ),
)

_INBOX_CHECKS: tuple[_Check, ...] = (
    _Check(
        "SELECT message_id, accepted_seq FROM inbox WHERE accepted_seq >= (SELECT first_seq FROM mark) AND NOT EXISTS "
        "(SELECT 1 FROM event WHERE seq = accepted_seq AND type = 'message.user')",
        "message {0} was accepted by event {1}, which is no message.user",
    ),
    _Check(
        "SELECT message_id, accepted_seq FROM inbox JOIN event ON seq = accepted_seq WHERE type = 'message.user' AND "
        "json_valid(CAST(event.content AS TEXT)) AND json_extract(CAST(event.content AS TEXT), '$.message_id') <> message_id",
        "message {0} was accepted by event {1}, which is of another message",
    ),
    _Check("SELECT count(*) FROM inbox WHERE state = 'running' HAVING count(*) > 1", "{0} messages run at once"),
    _Check(
        "SELECT message_id FROM inbox WHERE state = 'running' AND (attempt < 1 OR started_at IS NULL)",
        "message {0} runs but was never started",
    ),
    _Check(
        "SELECT message_id, state FROM inbox WHERE state IN ('queued', 'running') AND "
        "(finished_at IS NOT NULL OR stop_reason IS NOT NULL)",
        "message {0} is {1} but has an end",
    ),
    _Check(
        "SELECT message_id, attempt FROM inbox WHERE state = 'queued' AND (attempt = 0) <> (started_at IS NULL)",
        "message {0} is queued and was started {1} times, which is not what its start says",
    ),
    _Check(
        "SELECT message_id, state FROM inbox WHERE state IN ('done', 'cancelled', 'failed') AND "
        "(finished_at IS NULL OR stop_reason IS NULL)",
        "message {0} is {1} but has no end",
    ),
    _Check(
        "SELECT message_id FROM inbox WHERE state = 'done' AND attempt < 1", "message {0} is done but was never started"
    ),
    _Check(
        "SELECT message_id FROM inbox WHERE NOT json_valid(CAST(content AS TEXT)) OR NOT json_valid(CAST(origin AS TEXT))",
        "message {0} has a content or an origin that is no JSON",
    ),
    _Check(
        "SELECT command_id FROM command WHERE NOT json_valid(CAST(answer AS TEXT))",
        "command {0} has an answer that is no JSON",
    ),
)

_REQUEST_CHECKS: tuple[_Check, ...] = (
    _Check(
        "SELECT request_id, request.seq FROM request LEFT JOIN event ON event.seq = request.seq WHERE "
        "request.seq >= (SELECT first_seq FROM mark) AND event.type IS NOT 'tool.' || kind || '_requested'",
        "request {0} was asked by event {1}, which asks nothing of the kind",
    ),
    _Check(
        "SELECT request_id, resolved_seq FROM request WHERE status = 'resolved' AND (resolved_seq IS NULL OR "
        "resolved_seq >= (SELECT first_seq FROM mark)) AND NOT EXISTS (SELECT 1 FROM event WHERE event.seq = resolved_seq "
        "AND event.type = 'tool.approval_resolved' AND json_valid(CAST(event.content AS TEXT)) AND "
        "json_extract(CAST(event.content AS TEXT), '$.request_id') = request_id)",
        "request {0} was resolved by event {1}, which does not tell so",
    ),
    _Check(
        "SELECT request_id FROM request WHERE status = 'resolved' AND (outcome IS NULL OR resolved_by IS NULL OR "
        "resolved_at IS NULL)",
        "request {0} is resolved without an outcome",
    ),
    _Check(
        "SELECT request_id FROM request WHERE status = 'open' AND (outcome IS NOT NULL OR resolved_seq IS NOT NULL)",
        "request {0} is open but has an outcome",
    ),
    _Check(
        "SELECT request_id FROM request WHERE NOT json_valid(CAST(content AS TEXT)) OR "
        "(answers IS NOT NULL AND NOT json_valid(CAST(answers AS TEXT)))",
        "request {0} has JSON that is none",
    ),
)

_CHECKPOINT_CHECKS: tuple[_Check, ...] = (
    _Check(
        "SELECT turn_id, seq FROM checkpoint WHERE seq < 1 OR seq > (SELECT coalesce(max(seq), 0) FROM event)",
        "the checkpoint of {0} names event {1}, which does not exist",
    ),
    _Check(
        "SELECT turn_id, c.state_version, mark.state_version FROM checkpoint AS c, mark WHERE c.state_version < 0 OR "
        "c.state_version > mark.state_version",
        "the checkpoint of {0} names state version {1}, the newest is {2}",
    ),
    _Check(
        "SELECT turn_id FROM checkpoint AS c WHERE EXISTS (SELECT 1 FROM inbox WHERE inbox.turn_id = c.turn_id AND "
        "state IN ('queued', 'running')) OR NOT EXISTS (SELECT 1 FROM inbox WHERE inbox.turn_id = c.turn_id)",
        "there is a checkpoint of {0}, which is no turn that ended",
    ),
    _Check(
        "SELECT turn_id, before FROM (SELECT turn_id, seq, state_version, iteration, lag(turn_id) OVER w AS before, "
        "lag(seq) OVER w AS s, lag(state_version) OVER w AS v, lag(iteration) OVER w AS i FROM checkpoint "
        "WINDOW w AS (ORDER BY position)) WHERE seq <= s OR state_version < v OR iteration < i",
        "the checkpoint of {0} lies before that of {1}, which is older",
    ),
    _Check(
        "SELECT c.turn_id, c.seq FROM checkpoint AS c JOIN event ON event.seq = c.seq WHERE "
        "event.turn_id <> c.turn_id OR type <> 'checkpoint' OR (json_valid(CAST(content AS TEXT)) AND "
        "json_extract(CAST(content AS TEXT), '$.state_version') <> c.state_version)",
        "the checkpoint of {0} names event {1}, which is no checkpoint or another",
    ),
)

_MOMENT_CHECKS: tuple[_Check, ...] = (
    _Check(
        "SELECT m.seq, m.kind FROM moment AS m LEFT JOIN event ON event.seq = m.seq WHERE type IS NOT "
        "CASE m.kind WHEN 'fork' THEN 'agent.forked' ELSE 'agent.rewound' END",
        "the {1} at event {0} is told by no such event",
    ),
    _Check("SELECT seq, to_seq FROM moment WHERE to_seq >= seq", "event {0} goes back to event {1}, which is newer"),
    _Check(
        "SELECT m.seq, m.state_version FROM moment AS m, mark WHERE m.state_version > mark.state_version",
        "the moment at event {0} names state version {1}, which does not exist",
    ),
    _Check(
        "SELECT count(*) FROM moment WHERE pending = 1 HAVING count(*) > 1",
        "{0} rewinds are incomplete, one at most can be",
    ),
)

_HAS_MOMENTS = "SELECT 1 FROM main.sqlite_master WHERE name = 'moment'"
"""An older release's file, which nobody has opened since, has none."""

_LOG_CHECKS: tuple[_Check, ...] = (
    _Check(
        "SELECT id, severity FROM log WHERE severity NOT IN (10, 20, 30, 40, 50)", "log record {0} has the severity {1}"
    ),
    _Check(
        "SELECT id FROM log WHERE fields IS NOT NULL AND NOT json_valid(CAST(fields AS TEXT))",
        "log record {0} has fields that are no JSON",
    ),
)


def validate_directory(agent_directory: Path) -> list[str]:
    """Every violation found in an agent's databases, which are only read: also those of an agent that is running.

    Raises:
        StoreError: a file is missing or can't be read at all.
    """
    with ExitStack() as opened:
        files = [opened.enter_context(closing(read_only(kind, agent_directory))) for kind in KINDS]
        return validate_files(*files, settled=False)


def validate_files(state: Database, messages: Database, logs: Database, *, settled: bool = True) -> list[str]:
    """Every violation found in the three databases, in words; none when all is well. Not `settled`: nobody has opened
    them since the last crash, or somebody writes them now, so changes of the state above the mark are no violation.

    Raises:
        StoreError: a file can't be read at all.
    """
    findings: list[str] = []
    for database in (messages, state, logs):  # the mark first: the state may be ahead of what was read, never behind
        findings += _pages(database)
    if findings:
        return findings  # rows of damaged pages would only mislead
    for query in (
        *_EVENT_CHECKS,
        *_INBOX_CHECKS,
        *_REQUEST_CHECKS,
        *_CHECKPOINT_CHECKS,
        *(_MOMENT_CHECKS if messages.rows(_HAS_MOMENTS) else ()),
    ):
        findings += _violations(messages, query)
    findings += _states(state, messages, settled=settled)
    for query in _LOG_CHECKS:
        findings += _violations(logs, query)
    return findings


def _pages(database: Database) -> list[str]:
    try:
        rows = database.rows(_PAGES_CHECK)
    except StoreDamagedError as error:
        return [str(error)]
    return [f"{database.name}: {text}" for (text,) in rows if text != "ok"]


def _violations(database: Database, query: _Check) -> list[str]:
    rows = database.rows(query.sql)
    listed = [f"{database.name}: {query.sentence.format(*row)}" for row in rows[:SHOWN_AT_MOST]]
    if len(rows) > SHOWN_AT_MOST:
        listed.append(f"{database.name}: and {len(rows) - SHOWN_AT_MOST} more of this kind")
    return listed


def _states(state: Database, messages: Database, *, settled: bool) -> list[str]:
    mark = messages.row("SELECT state_version, state_schema FROM mark")
    if mark is None:
        return ["messages: the mark is missing"]
    findings = _violations(
        state, _Check(_VERSION_GAPS, "versions {1} and {0} follow each other: what is between is missing")
    )
    newest = state.value("SELECT coalesce(max(version), 0) FROM delta")
    if newest < mark[0] or (settled and newest != mark[0]):
        findings.append(f"state: the newest change is {newest}, but version {mark[0]} is committed")
    above = state.rows("SELECT version FROM snapshot WHERE version > ?", (newest,))
    findings += [f"state: there is a snapshot of version {version}, which does not exist" for (version,) in above]
    schema = state.row("SELECT schema FROM snapshot WHERE version <= ? ORDER BY version DESC LIMIT 1", (mark[0],))
    if (None if schema is None else schema[0]) != mark[1]:
        findings.append(f"state: the newest snapshot has schema {schema and schema[0]}, but {mark[1]} is committed")
    return findings or list(_replayed(state))


def _replayed(state: Database) -> Iterator[str]:
    """Applies the whole history and compares it with each snapshot on the way."""
    document: Any = {}
    for version, ops, kind, codec, data in _history(state):
        try:
            if ops is not None:
                document = apply_change(document, version, ops)
            elif kind != "given":
                yield f"state: version {version} was written whole, but its snapshot is missing"
                return
            if data is None:
                continue
            kept = decode_document(unpack(codec, data))
        except StoreError as error:
            yield str(error)
            return
        if kind == "derived" and kept != document:
            yield f"state: the snapshot of version {version} is not what the changes give"
        document = kept


def _history(state: Database) -> Iterator[tuple[Any, ...]]:
    sql = (
        "SELECT delta.version, ops, kind, codec, data FROM delta LEFT JOIN snapshot USING (version) "
        "WHERE delta.version > ? ORDER BY delta.version LIMIT ?"
    )
    after = 0
    while page := state.rows(sql, (after, _PAGE)):
        yield from page
        after = page[-1][0]
