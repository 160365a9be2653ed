"""The reference of an environment's values is what the modules say."""

from tools.generate_terraform_reference import PAGE, PLATFORM, page, rows


def test_the_page_is_generated_from_the_modules() -> None:
    assert PAGE.read_text() == page()


def test_every_value_has_a_row_with_its_type() -> None:
    declared = (PLATFORM / "variables.tf").read_text().count("\nvariable ") + 1
    found = rows("variable", PLATFORM / "variables.tf")
    assert len(found) == declared
    assert all(kind for _, kind, _, _ in found)
