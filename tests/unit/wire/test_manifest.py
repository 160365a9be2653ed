"""The manifest is read whole or refused with the key named."""

import pytest

from podium.wire.manifest import Limits, LimitsTable, ManifestError, apply_limits, parse_manifest

AGENT = b'[agent]\ntype = "coding-agent"\nversion = "1.0.0"\nruntime = "python"\nentry = "agent:CodingAgent"\n'


def test_the_whole_manifest_is_read() -> None:
    manifest = parse_manifest(
        AGENT
        + b'description = "d"\n[config]\nmodel = "m"\n[limits]\nmemory = "64MiB"\ncpu = 0.5\nturn_timeout = "10s"\nidle_timeout = "0"\ndurability = "sync"\n'
        + b'[process]\npreload = false\nrestart = { attempts = 1, window = "5s", backoff = "10ms" }\n'
        + b'[workspace]\nexclude = ["*.pyc"]\ntemplate = "workspace/"\n'
    )
    assert manifest.config == {"model": "m"}
    assert manifest.limits == Limits(
        memory=64 * 2**20, cpu=0.5, turn_timeout_ms=10_000, idle_timeout_ms=0, durability="sync"
    )
    assert (manifest.restart.attempts, manifest.restart.window_ms, manifest.restart.backoff_ms) == (1, 5_000, 10)
    assert (manifest.preload, manifest.exclude, manifest.template) == (False, ["*.pyc"], "workspace/")


@pytest.mark.proves("MANIFEST-UNKNOWN-KEY-NEAREST")
@pytest.mark.parametrize(
    ("text", "near"),
    [
        (b'[agent]\ntyp = "a"', "'type'"),
        (AGENT + b"[limit]\nmemory = '1GiB'", "'limits'"),
        (AGENT + b"[limits]\nmem = '1GiB'", "'memory'"),
        (AGENT + b"[process]\nrestart = { attempt = 1 }", "'attempts'"),
        (AGENT + b"[workspace]\nexcludes = []", "'exclude'"),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest_known_one(text: bytes, near: str) -> None:
    with pytest.raises(ManifestError, match=f"did you mean {near}"):
        parse_manifest(text)


def test_a_key_like_no_other_is_refused_with_all_there_are() -> None:
    with pytest.raises(ManifestError, match=r"podium\.toml: unknown key 'name'; there are agent, "):
        parse_manifest(b'name = "counter"')


@pytest.mark.parametrize(
    "text",
    [
        b"", b"[agent", b"\xff", b"agent = 1", AGENT.replace(b"coding-agent", b"Bad Type"), AGENT.replace(b"1.0.0", b"1"),
        AGENT.replace(b"python", b"ruby"), AGENT.replace(b"agent:CodingAgent", b"agent.py"),
        AGENT.replace(b"agent:CodingAgent", b"os:system()"), AGENT + b"[limits]\nmemory = '5 bananas'",
        AGENT + b"[limits]\nmemory = '1KiB'", AGENT + b"[limits]\ncpu = 0", AGENT + b"[limits]\nturn_timeout = '0'",
        AGENT + b"[limits]\nprocesses = 'many'", AGENT + b"[limits]\ndurability = 'always'", AGENT + b"[workspace]\ntemplate = '../x'",
        AGENT + b"[workspace]\ntemplate = '/etc'", AGENT + b"[process]\nrestart = { attempts = -1 }", AGENT + b"x" * 300_000,
    ],
)  # fmt: skip
def test_what_is_no_valid_manifest_is_refused_with_a_sentence(text: bytes) -> None:
    with pytest.raises(ManifestError) as caught:
        parse_manifest(text)
    assert len(str(caught.value)) > 10


def test_a_typescript_entry_is_a_module_path_inside_the_bundle() -> None:
    text = AGENT.replace(b"python", b"typescript")
    assert parse_manifest(text.replace(b"agent:CodingAgent", b"src/agent.ts")).entry == "src/agent.ts"
    named = b"src/agent.ts:Counter"
    assert parse_manifest(text.replace(b"agent:CodingAgent", named)).entry == named.decode()
    for outside in (b"../agent.ts", b"/agent.ts:Counter"):
        with pytest.raises(ManifestError, match="inside the bundle"):
            parse_manifest(text.replace(b"agent:CodingAgent", outside))
    for wrong in (b"agent", b"agent.py", b"agent.ts:", b"agent.ts:1", b":Counter"):
        with pytest.raises(ManifestError, match="path of a module"):
            parse_manifest(text.replace(b"agent:CodingAgent", wrong))


def test_limits_of_a_create_call_go_over_those_of_the_manifest() -> None:
    base = Limits(cpu=2.0)
    assert apply_limits(base, LimitsTable(memory="1GiB")) == Limits(memory=2**30, cpu=2.0)
