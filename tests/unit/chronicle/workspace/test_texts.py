"""Differences as unified text, as git writes and reads them."""

from blake3 import blake3

from chronicle.model.iterations import Difference, Version
from chronicle.workspace.texts import TEXT_BYTES, unified

CONTENTS: dict[bytes, bytes] = {}


def file(content: bytes, mode: int = 0o100644) -> Version:
    digest = blake3(content).digest()
    CONTENTS[digest] = content
    return Version(2, 1, mode, 0, len(content), digest, None, None)


def link(target: bytes) -> Version:
    return Version(2, 1, 0o120777, 0, 0, None, target, None)


def text(before: Version | None, after: Version | None, path: bytes = b"notes.md") -> str:
    return unified(Difference(path, before, after), lambda version: CONTENTS[version.digest or b""])


def test_a_changed_line() -> None:
    assert text(file(b"one\ntwo\n"), file(b"one\n2\n")) == (
        "diff --git a/notes.md b/notes.md\n--- a/notes.md\n+++ b/notes.md\n@@ -1,2 +1,2 @@\n one\n-two\n+2\n"
    )


def test_a_new_file_and_a_deleted_one_name_nothing_on_the_other_side() -> None:
    assert text(None, file(b"x\n")).splitlines()[1:4] == ["new file mode 100644", "--- /dev/null", "+++ b/notes.md"]
    assert text(file(b"x\n"), None).splitlines()[1:4] == ["deleted file mode 100644", "--- a/notes.md", "+++ /dev/null"]


def test_a_last_line_without_an_end_is_marked() -> None:
    assert text(file(b"a"), file(b"b")).endswith("-a\n\\ No newline at end of file\n+b\n\\ No newline at end of file\n")


def test_only_newlines_separate_lines() -> None:
    assert "-a\rb\x0cc\u2028d\n" in text(file("a\rb\x0cc\u2028d\n".encode()), file(b""))


def test_a_changed_mode_alone_shows_no_content() -> None:
    assert (
        text(file(b"x"), file(b"x", 0o100755)) == "diff --git a/notes.md b/notes.md\nold mode 100644\nnew mode 100755\n"
    )


def test_contents_that_are_no_text_only_differ() -> None:
    assert text(file(b"\0"), file(b"\1\0")).endswith("Binary files a/notes.md and b/notes.md differ\n")
    assert text(file(b"\xff\xfe"), file(b"x")).endswith("differ\n")


def test_large_contents_only_differ() -> None:
    assert text(file(b"x" * (TEXT_BYTES + 1)), file(b"y" * (TEXT_BYTES + 1))).endswith("differ\n")


def test_a_link_is_compared_by_its_target() -> None:
    assert "-old\n" in text(link(b"old"), link(b"new"))


def test_directories_have_no_content() -> None:
    assert (
        text(None, Version(3, 1, 0o040755, 0, 0, None, None, None), b"src")
        == "diff --git a/src b/src\nnew file mode 040755\n"
    )


def test_names_with_control_characters_and_odd_bytes_are_quoted_as_git_does() -> None:
    shown = text(file(b"a\n"), file(b"b\n"), 'tab\there"\xff'.encode("latin-1"))
    assert shown.startswith('diff --git "a/tab\\there\\"\\377" "b/tab\\there\\"\\377"\n')
