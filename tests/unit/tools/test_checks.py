"""Each check of the house finds what it is for when it is planted."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

TOOLS = Path(__file__).parents[3] / "tools"


def _tool(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, TOOLS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("x = 1\n" * 801, "801 lines"),
        ("def long():\n" + "    x = 1\n" * 81, "long has"),
        ("class Big:\n" + "".join(f"    def m{n}(self): ...\n" for n in range(41)), "41 methods"),
    ],
)
def test_what_is_too_large_is_found(tmp_path: Path, text: str, word: str) -> None:
    (tmp_path / "module.py").write_text(text)
    assert any(word in line for line in _tool("check_sizes").findings(tmp_path))


@pytest.mark.parametrize(
    "text",
    [
        "import time\ndef test_that_it_waits():\n    time.sleep(1)\n",
        "def test_x():\n    pass\n",
        "import asyncio\nasync def test_that_it_waits():\n    await asyncio.sleep(1)\n",
        "def test_that_it_mocks():\n    Mock()\n",
    ],
)
def test_a_test_that_sleeps_mocks_or_has_no_sentence_is_found(tmp_path: Path, text: str) -> None:
    (tmp_path / "test_module.py").write_text(text)
    assert list(_tool("check_tests").findings(tmp_path))


def test_a_private_host_in_a_lock_file_is_found(tmp_path: Path) -> None:
    (tmp_path / "uv.lock").write_text('url = "https://mirror.example.internal/simple"')
    assert list(_tool("check_locks").findings(tmp_path))
    (tmp_path / "uv.lock").write_text('url = "https://files.pythonhosted.org/x"')
    assert not list(_tool("check_locks").findings(tmp_path))


def test_a_path_of_one_machine_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("see /wor" + "k/main")
    assert list(_tool("check_places").findings([page]))
    page.write_text("see https://example.org/work/of/art and a/work/b")
    assert not list(_tool("check_places").findings([page]))


def test_a_link_that_leads_nowhere_is_found(tmp_path: Path) -> None:
    page = tmp_path / "README.md"
    page.write_text("[a](b.md) [c](README.md#x) [d](https://example.org)\n```\n[e](f.md)\n```\n")
    assert list(_tool("check_docs").broken(page)) == [f"{page}: link to b.md leads nowhere"]
