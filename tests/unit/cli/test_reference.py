"""The reference says what the commands say."""

from tools.generate_cli_reference import PAGE, reference


def test_the_page_is_what_the_commands_say() -> None:
    assert PAGE.read_text() == reference(), "run: python tools/generate_cli_reference.py"
