"""Files over REST at the gateway, on a real mount: written by an agent's shell or by a client, read now and as they were."""

import asyncio
import base64
import io
import json
import tarfile
from pathlib import Path

import pytest
from yarl import URL

from tests.agents import in_every_language
from tests.system.api import Caller
from tests.system.files.conftest import Agent

ESCAPES = [
    "..%2F..%2Fetc%2Fpasswd",
    "%2E%2E/%2E%2E/etc/passwd",
    "a/..%2f..%2fb",
    "%2Fetc%2Fpasswd",
    "/etc/passwd",
    "a%00b",
    ".chronicle/head",
    ".chronicle%2Fat%2F1%2Fx",
    "x/%2e%2e/%2e%2e/%2e%2e/y",
    "a" * 256,
    "/".join(["d" * 200] * 21),
]
"""Paths that must not lead anywhere: up, absolute, with NUL, into Chronicle's own, too long."""


@pytest.mark.proves("CHR-AGENT-FILES")
@in_every_language
async def test_a_shell_command_of_an_agent_is_read_back_version_by_version(agent: Agent) -> None:
    await agent.sh("mkdir src; echo one > src/a.txt; echo two > src/b.txt")
    before = (await agent.workspace("GET", "/changes?limit=1")).body["head"]
    await agent.sh("sed -i s/one/three/ src/a.txt; rm src/b.txt; mv src/a.txt src/c.txt")
    listed = (await agent.files("GET", "?path=src")).body
    assert [entry["path"] for entry in listed["entries"]] == ["src/c.txt"]
    read = await agent.files("GET", "/src/c.txt")
    assert (read.status, read.text) == (200, "three\n")
    history = (await agent.files("GET", "/src/c.txt/history")).body["iterations"]
    assert history[0]["kind"] == "rename"
    assert history[0]["from"] == "src/a.txt"
    assert all(each["turn_id"].startswith("turn-") for each in history[:2])
    past = await agent.files("GET", f"/src/b.txt/at/{before}")
    assert past.text == "two\n"
    gone = await agent.files("GET", "/src/b.txt")
    assert (gone.status, gone.code) == (404, "file_not_found")


@pytest.mark.proves("CHR-AGENT-FILES")
@in_every_language
async def test_the_template_is_the_first_of_the_history_and_belongs_to_the_agent(agent: Agent) -> None:
    listed = (await agent.files("GET", "?depth=16")).body
    assert [entry["path"] for entry in listed["entries"]] == ["docs", "docs/welcome.md", "run.sh"]
    assert (
        await agent.sh("./run.sh && echo more >> docs/welcome.md && stat -c %u docs . | uniq | wc -l")
    ) == "ran\n1\n"
    first = (await agent.files("GET", "/docs/welcome.md/history")).body["iterations"][-1]
    assert (first["kind"], first["iteration"] < 10) == ("create", True)
    assert (await agent.files("GET", f"/docs/welcome.md/at/{first['iteration']}")).text == "Welcome\n"


@in_every_language
async def test_excluded_paths_work_and_have_no_history(agent: Agent) -> None:
    assert (
        await agent.sh("echo x > a.log; mkdir node_modules; echo y > node_modules/z; cat a.log node_modules/z")
        == "x\ny\n"
    )
    listed = (await agent.files("GET", "?depth=4")).body
    assert not [e for e in listed["entries"] if "log" in e["path"] or "node_modules/" in e["path"]]


@in_every_language
async def test_the_quota_of_the_manifest_bounds_the_workspace(agent: Agent) -> None:
    said = await agent.sh(
        "df --output=size -B1 . | tail -1; for i in 1 2 3 4 5; do (head -c 30000000 /dev/zero > big$i) 2>&1; done"
    )
    assert str(64 * 2**20) in said
    assert "No space left" in said or "quota" in said.lower(), said
    refused = await agent.files("PUT", "/large", data=io.BytesIO(bytes(80 * 2**20)))
    assert (refused.status, refused.code) == (429, "quota_exceeded")


@pytest.mark.proves("CHR-AGENT-FILES")
async def test_a_file_is_served_with_type_tag_ranges_and_conditions(agent: Agent) -> None:
    data = bytes(range(32, 96)) * 160
    made = await agent.put("d/table.csv", data)
    whole = await agent.files("GET", "/d/table.csv", headers={"Accept": "*/*"})
    assert whole.text == data.decode("ascii")
    assert whole.headers["content-type"].startswith("text/csv")
    assert whole.headers["podium-iteration"] == str(made)
    assert whole.headers["content-length"] == str(len(data))
    assert whole.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in whole.headers["content-security-policy"]
    tag = whole.headers["etag"]
    same = await agent.files("GET", "/d/table.csv", headers={"If-None-Match": tag})
    assert (same.status, same.text) == (304, "")
    head = await agent.files("HEAD", "/d/table.csv")
    assert (head.status, head.headers["content-length"], head.headers["etag"]) == (200, str(len(data)), tag)
    for wanted, expected in {"bytes=0-3": data[:4], "bytes=10230-": data[10230:], "bytes=-5": data[-5:]}.items():
        part = await _bytes(agent, "/d/table.csv", {"Range": wanted})
        assert part == (206, expected)
    assert (await _bytes(agent, "/d/table.csv", {"Range": "bytes=0-1", "If-Range": '"other"'}))[0] == 200
    beyond = await agent.files("GET", "/d/table.csv", headers={"Range": "bytes=99999-"})
    assert (beyond.status, beyond.code) == (416, "range_not_satisfiable")
    assert beyond.headers["content-range"] == f"bytes */{len(data)}"


async def _bytes(agent: Agent, path: str, headers: dict[str, str]) -> tuple[int, bytes]:
    url = f"{agent.caller.daemons.url}/api/v1/instances/{agent.instance_id}/files{path}"
    async with agent.caller.session.get(url, headers={**agent.caller.headers, **headers}) as answer:
        return answer.status, await answer.read()


async def test_a_file_as_json_is_text_or_base64(agent: Agent) -> None:
    as_json = {"Accept": "application/json"}
    await agent.put("text", "grüße".encode())
    await agent.put("bytes", b"\xff\x00")
    text = (await agent.files("GET", "/text", headers=as_json)).body
    assert (text["content"], text["encoding"], text["size"]) == ("grüße", "utf-8", 7)
    binary = (await agent.files("GET", "/bytes", headers=as_json)).body
    assert (base64.b64decode(binary["content"]), binary["encoding"]) == (b"\xff\x00", "base64")
    await agent.put("large", io.BytesIO(bytes(17 * 2**20)))
    refused = await agent.files("GET", "/large", headers=as_json)
    assert (refused.status, refused.code) == (413, "message_too_large")


@pytest.mark.proves("CHR-AGENT-FILES")
async def test_writes_can_be_conditional(agent: Agent) -> None:
    first = await agent.files("PUT", "/c.txt", data=b"1", headers={"If-None-Match": "*"})
    assert first.status == 201
    again = await agent.files("PUT", "/c.txt", data=b"2", headers={"If-None-Match": "*"})
    assert (again.status, again.code) == (412, "file_changed")
    right = await agent.files("PUT", "/c.txt", data=b"2", headers={"If-Match": first.headers["etag"]})
    assert (right.status, right.body["iteration"]) == (200, first.body["iteration"] + 1)
    stale = await agent.files("PUT", "/c.txt", data=b"3", headers={"If-Match": first.headers["etag"]})
    assert (stale.status, stale.code) == (412, "file_changed")
    same = await agent.files("POST", "/c.txt", data=b"2")
    assert (same.status, same.body["iteration"]) == (200, right.body["iteration"])
    assert (await agent.files("DELETE", "/c.txt", headers={"If-Match": '"no"'})).code == "file_changed"
    gone = await agent.files("DELETE", "/c.txt", headers={"If-Match": right.headers["etag"]})
    assert (gone.status, gone.body["iteration"]) == (200, right.body["iteration"] + 1)
    assert (await agent.files("PUT", "/new", data=b"", headers={"If-Match": "*"})).status == 412
    assert (await agent.sh("ls")) == "docs\nrun.sh\n"


@in_every_language
async def test_what_a_client_writes_the_agent_may_change(agent: Agent) -> None:
    await agent.put("from/client.txt", b"client\n")
    assert (
        await agent.sh("echo agent >> from/client.txt; rm run.sh; mv from to; cat to/client.txt") == "client\nagent\n"
    )


@pytest.mark.proves("CHR-AGENT-ESCAPES")
@pytest.mark.parametrize("path", ESCAPES)
async def test_no_path_leads_out_of_a_workspace(agent: Agent, path: str) -> None:
    url = URL(f"{agent.caller.daemons.url}/api/v1/instances/{agent.instance_id}/files/{path}", encoded=True)
    for method in ("GET", "PUT", "DELETE"):
        async with agent.caller.session.request(method, url, headers=agent.caller.headers, data=b"x") as answer:
            assert (answer.status, (await answer.json())["code"]) == (400, "invalid_path"), method


@pytest.mark.proves("CHR-AGENT-ESCAPES")
@in_every_language
async def test_links_are_followed_inside_and_never_out(agent: Agent) -> None:
    await agent.sh(
        "mkdir -p in/deep; echo inside > in/deep/f; ln -s in/deep near; ln -s deep/f in/file; ln -s /etc abs; "
        "ln -s ../../../../../etc/passwd up; ln -s loop loop; ln -s in/../../x out; ln -s /proc/self/root root"
    )
    for good in ("near/f", "in/file"):
        assert (await agent.files("GET", f"/{good}")).text == "inside\n", good
    assert [e["path"] for e in (await agent.files("GET", "?path=near")).body["entries"]] == ["near/f"]
    for bad in ("abs/passwd", "abs", "up", "loop", "out", "root/etc/passwd"):
        refused = await agent.files("GET", f"/{bad}")
        assert (refused.status, refused.code) == (400, "invalid_path"), bad
        written = await agent.files("PUT", f"/{bad}", data=b"x")
        assert (written.status, written.code) == (400, "invalid_path"), bad
    for bad in ("abs", "root", "root/etc"):
        assert (await agent.files("GET", f"?path={bad}")).code == "invalid_path"
    assert (await agent.files("DELETE", "/abs")).status == 200
    assert Path("/etc/passwd").exists()


async def test_a_path_that_looks_like_a_route_is_reached_by_encoding_its_slashes(agent: Agent) -> None:
    await agent.files("PUT", "/h%2Fhistory", data=b"a file called history")
    await agent.files("PUT", "/h%2Fat%2F3", data=b"a file called 3")
    assert (await agent.files("GET", "/h%2Fhistory")).text == "a file called history"
    assert (await agent.files("GET", "/h%2Fat%2F3")).text == "a file called 3"
    assert (await agent.files("GET", "/h/history/history")).body["iterations"][0]["path"] == "h/history"
    assert (await agent.files("PUT", "/h/history", data=b"x")).status == 405
    await agent.files("PUT", "/history", data=b"at the root")
    assert (await agent.files("GET", "/history")).text == "at the root"


async def test_moments_that_never_were_are_not_found(agent: Agent) -> None:
    made = await agent.put("f", b"x")
    assert (await agent.files("GET", "/f/at/999999")).code == "iteration_not_found"
    assert (await agent.files("GET", f"/f/at/{made - 1}")).code == "file_not_found"
    assert (await agent.files("GET", "?at=999999")).code == "iteration_not_found"
    assert (await agent.workspace("GET", "/diff?from=0&to=999999")).code == "iteration_not_found"
    assert (await agent.workspace("POST", "/restore", json={"iteration": 999999})).code == "iteration_not_found"
    assert (await agent.files("GET", "/never/history")).code == "file_not_found"


async def test_lists_come_in_pages_of_one_moment(agent: Agent) -> None:
    await agent.sh("mkdir -p p/q; for i in 1 2 3 4 5; do echo $i > p/$i; echo $i > p/q/$i; done")
    seen: list[str] = []
    query = "?path=p&depth=3&limit=4"
    while True:
        page = (await agent.files("GET", query)).body
        seen += [entry["path"] for entry in page["entries"]]
        if page["next_cursor"] is None:
            break
        await agent.put("p/new-meanwhile", b"x")
        query = f"?path=p&depth=3&limit=4&cursor={page['next_cursor']}"
    assert seen == [*(f"p/{i}" for i in range(1, 6)), "p/q", *(f"p/q/{i}" for i in range(1, 6))]
    assert (await agent.files("GET", "?cursor=nonsense")).code == "invalid_request"


@pytest.mark.proves("CHR-AGENT-FILES")
@in_every_language
async def test_a_restore_takes_the_tree_back_and_can_be_undone(agent: Agent) -> None:
    await agent.sh("mkdir src; echo a > src/a; echo b > src/b; chmod 755 src/b")
    good = (await agent.workspace("GET", "/changes?limit=1")).body["head"]
    await agent.sh("rm -rf src; echo ruined > run.sh")
    bad = (await agent.workspace("GET", "/changes?limit=1")).body["head"]
    done = await agent.workspace("POST", "/restore", json={"iteration": good})
    assert done.status == 200, done.text
    assert done.body["iteration"] > bad
    assert await agent.sh("cat src/a; test -x src/b && ./run.sh") == "a\nran\n"
    same = (await agent.workspace("GET", f"/diff?from={good}&to={done.body['iteration']}")).body
    assert same["differences"] == []
    await agent.workspace("POST", "/restore", json={"iteration": bad, "path": "run.sh"})
    assert await agent.sh("cat run.sh; cat src/a") == "ruined\na\n"


async def test_two_moments_are_compared_as_records_and_as_text(agent: Agent) -> None:
    before = await agent.put("t.txt", b"one\ntwo\n")
    after = await agent.put("t.txt", b"one\n2\n")
    await agent.put("u.txt", b"new\n")
    found = (await agent.workspace("GET", f"/diff?from={before}")).body
    assert [(d["path"], d["kind"]) for d in found["differences"]] == [("t.txt", "modified"), ("u.txt", "created")]
    first = (await agent.workspace("GET", f"/diff?from={before}&limit=1")).body
    second = (await agent.workspace("GET", f"/diff?from=0&limit=1&cursor={first['next_cursor']}")).body
    assert [d["path"] for d in second["differences"]] == ["u.txt"]
    text = await agent.workspace("GET", f"/diff?from={before}&to={after}", headers={"Accept": "text/x-diff"})
    assert "-two\n+2\n" in text.text


async def test_moments_are_named_and_listed(agent: Agent) -> None:
    await agent.put("f", b"x")
    made = await agent.workspace("POST", "/checkpoints", json={"label": "before"})
    assert (made.status, made.body["label"]) == (201, "before")
    await agent.sh("echo y > f")
    listed = (await agent.workspace("GET", "/checkpoints")).body["checkpoints"]
    assert made.body in listed


@pytest.mark.proves("CHR-AGENT-FILES")
async def test_changes_are_listed_and_followed_and_resumed(agent: Agent) -> None:
    base = f"{agent.caller.daemons.url}/api/v1/instances/{agent.instance_id}/workspace/changes"
    head = (await agent.workspace("GET", "/changes?limit=1")).body["head"]
    headers = {**agent.caller.headers, "Accept": "text/event-stream"}
    seen: list[dict[str, object]] = []

    async def follow(after: int, wanted: int, **more: str) -> None:
        async with agent.caller.session.get(f"{base}?after={after}", headers={**headers, **more}) as answer:
            assert answer.content_type == "text/event-stream"
            async for line in answer.content:
                if line.startswith(b"data:"):
                    seen.append(json.loads(line[5:]))
                if len(seen) >= wanted:
                    return

    async with asyncio.timeout(30):
        following = asyncio.ensure_future(follow(head, 2))
        await agent.put("one", b"1")
        await agent.sh("echo 2 > two")
        await following
        await agent.put("three", b"3")
        await follow(0, 3, **{"Last-Event-ID": str(seen[-1]["iteration"])})
    assert [each["path"] for each in seen] == ["one", "two", "three"]
    listed = (await agent.workspace("GET", f"/changes?after={head}")).body["iterations"]
    assert listed == seen
    page = (await agent.workspace("GET", f"/changes?after={head}&limit=2")).body
    assert page["next_cursor"] == str(seen[1]["iteration"])
    of_one = (await agent.workspace("GET", f"/changes?after={head}&path=two")).body["iterations"]
    assert [each["path"] for each in of_one] == ["two"]


async def test_the_archive_of_a_moment_unpacks_to_it(agent: Agent) -> None:
    await agent.sh("mkdir -p a/b; echo deep > a/b/c; ln -s b/c a/link; chmod 600 a/b/c")
    past = (await agent.workspace("GET", "/changes?limit=1")).body["head"]
    await agent.sh("rm -rf a")
    url = f"{agent.caller.daemons.url}/api/v1/agents/{agent.agent_id}/workspace/archive?at={past}"
    async with agent.caller.session.get(url, headers=agent.caller.headers) as answer:
        assert answer.status == 200
        assert answer.content_type == "application/gzip"
        assert answer.headers["content-disposition"] == f'attachment; filename="{agent.agent_id}-{past}.tar.gz"'
        packed = await answer.read()
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        names = archive.getnames()
        assert {"a", "a/b", "a/b/c", "a/link", "run.sh"} <= set(names)
        assert archive.extractfile("a/b/c").read() == b"deep\n"  # type: ignore[union-attr]
        assert archive.getmember("a/link").linkname == "b/c"
        assert archive.getmember("a/b/c").mode == 0o600


async def test_names_that_are_no_text_are_shown_and_reached(agent: Agent) -> None:
    await agent.sh(r"printf x > $(printf 'bad-\377')")
    listed = (await agent.files("GET", "")).body["entries"]
    entry = next(each for each in listed if each["name"].startswith("bad"))
    assert entry["name"] == "bad-\ufffd"
    assert base64.b64decode(entry["raw"]) == b"bad-\xff"
    url = URL(f"{agent.caller.daemons.url}/api/v1/instances/{agent.instance_id}/files/bad-%FF", encoded=True)
    async with agent.caller.session.get(url, headers=agent.caller.headers) as answer:
        assert (answer.status, await answer.read()) == (200, b"x")


@pytest.mark.proves("CHR-AGENT-FILES")
async def test_files_of_a_stopped_agent_are_served_written_and_restored(agent: Agent) -> None:
    made = await agent.put("kept", b"v1")
    assert (await agent.caller("DELETE", f"/api/v1/instances/{agent.instance_id}")).status == 204
    read = await agent.files("GET", "/kept", by_agent=True)
    assert read.text == "v1"
    written = await agent.files("PUT", "/kept", by_agent=True, data=b"v2")
    assert (written.status, written.body["iteration"]) == (200, made + 1)
    assert (await agent.workspace("POST", "/restore", by_agent=True, json={"iteration": made})).status == 200
    assert (await agent.files("GET", "/kept", by_agent=True)).text == "v1"
    assert (await agent.files("GET", "/kept")).code == "instance_not_found"


async def test_what_belongs_to_another_tenant_is_not_there(agent: Agent, caller: Caller) -> None:
    await agent.put("secret", b"x")
    stranger = caller.with_key(await caller.daemons.key("somebody-else"))
    for path in (f"instances/{agent.instance_id}", f"agents/{agent.agent_id}"):
        for rest in ("files", "files/secret", "files/secret/history", "workspace/changes", "workspace/archive"):
            assert (await stranger("GET", f"/api/v1/{path}/{rest}")).status == 404
        assert (await stranger("PUT", f"/api/v1/{path}/files/secret", data=b"y")).status == 404
    tenant = (await caller.admin("GET", f"/api/v1/agents/{agent.agent_id}")).body["tenant_id"]
    reader = caller.with_key(await caller.daemons.key(tenant, ["files:read"]))
    assert (await reader("GET", f"/api/v1/agents/{agent.agent_id}/files/secret")).text == "x"
    assert (await reader("PUT", f"/api/v1/agents/{agent.agent_id}/files/secret", data=b"y")).code == "permission_denied"
    other = caller.with_key(await caller.daemons.key(tenant, ["instances:read"]))
    assert (await other("GET", f"/api/v1/agents/{agent.agent_id}/files/secret")).code == "permission_denied"
