"""What goes into a bundle, what is refused before it is sent, and that the same files give the same bytes."""

import hashlib
import tarfile
from pathlib import Path

import pytest

from podium.cli.development.reloading import development_version
from podium.cli.project import Project, provide_sdk
from podium.cli.scaffold import class_name, python_files, typescript_files
from podium.cli.upload import packed, with_version
from podium.wire.manifest import ManifestError, parse_manifest
from podium.wire.refs import Version
from tests.bun import needs_bun


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in python_files("my-agent").items():
        (tmp_path / name).write_text(text)
    return tmp_path


def _files(folder: Path) -> list[str]:
    return [str(path) for path in Project(folder).files()]


def _write(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("")


def test_what_is_never_packed_is_left_out(folder: Path) -> None:
    _write(folder, ".git/config", ".venv/bin/python", "pkg/__pycache__/x.pyc", "node_modules/a.js", ".podium/dev-key")
    _write(folder, "pkg/__init__.py", ".env", "notes.txt")
    expected = [".gitignore", ".podiumignore", "README.md", "agent.py", "notes.txt", "pkg/__init__.py", "podium.toml"]
    assert _files(folder) == expected


def test_ignore_files_work_as_in_git(folder: Path) -> None:
    _write(folder, "a.log", "keep.log", "sub/b.log", "sub/c.txt", "sub/deep/d.txt", "build/x")
    (folder / ".gitignore").write_text("*.log\n!keep.log\n/build/\n")
    (folder / "sub" / ".gitignore").write_text("*.txt\n!c.txt\n")
    found = _files(folder)
    assert "keep.log" in found
    assert "sub/c.txt" in found
    assert not {"a.log", "sub/b.log", "sub/deep/d.txt", "build/x"} & set(found)


def test_podiumignore_goes_over_gitignore(folder: Path) -> None:
    _write(folder, "model.bin", "secret.txt")
    (folder / ".gitignore").write_text("model.bin\n")
    (folder / ".podiumignore").write_text("!model.bin\nsecret.txt\n")
    found = _files(folder)
    assert "model.bin" in found
    assert "secret.txt" not in found


@pytest.mark.proves("BUNDLE-REPRODUCIBLE")
def test_the_same_files_give_the_same_bytes(folder: Path) -> None:
    hashes = set()
    for _ in range(2):
        (folder / "agent.py").touch()
        with packed(Project(folder)) as bundle:
            hashes.add(hashlib.sha256(bundle.read_bytes()).hexdigest())
    assert len(hashes) == 1


def test_a_bundle_can_be_given_another_version(folder: Path) -> None:
    with packed(Project(folder), "1.0.0-dev.7") as bundle, tarfile.open(bundle) as archive:
        member = archive.extractfile("podium.toml")
        assert member is not None
        assert parse_manifest(member.read()).version == "1.0.0-dev.7"
    assert Project(folder).manifest.version == "1.0.0"


def test_a_version_that_can_not_be_found_is_said() -> None:
    manifest = b'agent = {type = "a", version = "1.0.0", runtime = "python", entry = "a:B"}'
    with pytest.raises(ManifestError, match="line of its own"):
        with_version(manifest, "2.0.0")


def test_without_a_manifest_it_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="podium new"):
        Project(tmp_path)


def test_an_entry_that_is_not_there_is_found_before_anything_is_sent(folder: Path) -> None:
    (folder / "agent.py").rename(folder / "other.py")
    with pytest.raises(ManifestError, match=r"agent\.py or agent/__init__\.py"), packed(Project(folder)):
        pass


def test_a_syntax_error_is_found_before_anything_is_sent(folder: Path) -> None:
    (folder / "agent.py").write_text("def broken(:\n")
    with pytest.raises(SyntaxError, match="invalid"), packed(Project(folder)):
        pass


def test_the_manifest_of_a_new_agent_is_good() -> None:
    manifest = parse_manifest(python_files("my-agent")["podium.toml"].encode())
    assert (manifest.agent_type, manifest.entry) == ("my-agent", "agent:MyAgent")


def test_a_new_agent_in_typescript_packs_what_it_needs_and_finds_the_sdk_here(tmp_path: Path) -> None:
    for name, text in typescript_files("my-agent").items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    provide_sdk(tmp_path)
    assert (tmp_path / "node_modules" / "@podium" / "ts" / "package.json").is_file()
    project = Project(tmp_path)
    assert (project.manifest.runtime, project.manifest.entry) == ("typescript", "src/agent.ts")
    files = project.files()
    project.check(files)
    names = [".gitignore", ".podiumignore", "README.md", "package.json", "podium.toml", "src/agent.ts", "tsconfig.json"]
    assert [str(path) for path in files] == names


@needs_bun
def test_a_typescript_file_that_can_not_be_read_is_found_before_anything_is_sent(tmp_path: Path) -> None:
    for name, text in typescript_files("my-agent").items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "src" / "other.ts").write_text("export const fine = 1;\nconst broken = ;\n")
    with pytest.raises(ManifestError, match=r"other\.ts:2:16"), packed(Project(tmp_path)):
        pass


@pytest.mark.parametrize(("name", "made"), [("my-agent", "MyAgent"), ("a", "A"), ("2fast", "Agent2fast")])
def test_a_class_is_named_after_its_agent(name: str, made: str) -> None:
    assert class_name(name) == made


@pytest.mark.parametrize("version", ["1.2.3", "1.2.3-rc.1", "1.2.3+build.5"])
def test_development_versions_are_pre_releases_that_grow(version: str) -> None:
    first, second = (Version(development_version(version, now)) for now in (1000, 2000))
    assert first.is_prerelease
    assert first < second < Version("1.2.3")
