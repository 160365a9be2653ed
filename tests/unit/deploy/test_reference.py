"""What is generated from the modules of Terraform is what they say."""

import json

from tools.generate_aws_schema import SCHEMA, used_types
from tools.generate_terraform_reference import PAGE, PLATFORM, page, rows


def test_the_page_is_generated_from_the_modules() -> None:
    assert PAGE.read_text() == page()


def test_every_value_has_a_row_with_its_type() -> None:
    declared = (PLATFORM / "variables.tf").read_text().count("\nvariable ") + 1
    found = rows("variable", PLATFORM / "variables.tf")
    assert len(found) == declared
    assert all(kind for _, kind, _, _ in found)


def test_the_schema_that_terraform_is_tested_with_has_every_type_the_modules_use_and_no_other() -> None:
    schema = json.loads(SCHEMA.read_text())
    known = {(kind, name.removeprefix("aws_")) for kind, found in schema.items() for name in found}
    assert known == used_types()
