"""The reference of the REST interface is the one its routes make."""

from podium.wire.errors import ErrorCode
from tools.generate_rest_reference import PAGE, endpoints_document, reference


def test_the_page_is_fresh() -> None:
    assert PAGE.read_text() == reference(), "run python tools/generate_rest_reference.py"


def test_every_operation_has_a_name_of_its_own() -> None:
    names = [o["operationId"] for methods in endpoints_document()["paths"].values() for o in methods.values()]
    assert len(names) == len(set(names))
    assert all(name.isidentifier() for name in names)


def test_every_error_code_is_in_the_reference() -> None:
    page = reference()
    assert [code for code in ErrorCode if f"| `{code.value}` |" not in page] == []
