"""The page about the client protocol says what the types say."""

from tools.generate_client_protocol import PAGE, page


def test_the_page_is_what_the_types_say() -> None:
    assert PAGE.read_text() == page(), "run: python tools/generate_client_protocol.py"
