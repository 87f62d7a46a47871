"""Cells of datasets become Python's types as they become Rust's in the Rust SDK's tests."""

import pytest
from llem_sdk import Error, ErrorCode, Row, Value


def cell(value: Value) -> Row:
    return Row(3, {"cell": value})


def test_a_cell_is_converted_to_the_requested_type() -> None:
    assert cell("007").get("cell", str) == "007"
    assert cell("007").get("cell", int) == 7
    assert cell("9223372036854775808").get("cell", int) == 1 << 63
    assert cell("1e5").get("cell", float) == 1e5
    assert cell("True").get("cell", bool) is True
    assert cell(7).get("cell", float) == 7.0
    assert isinstance(cell(7).get("cell", float), float)


@pytest.mark.parametrize("text", ["nan", "inf", "", "1_000", "one"])
def test_a_text_that_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(Error, match="which is not a finite number"):
        cell(text).get("cell", float)


def test_an_error_names_the_row_and_column_of_a_malformed_cell() -> None:
    with pytest.raises(Error) as refused:
        cell("many").get("cell", int)
    assert str(refused.value) == "row 3: field 'cell' is \"many\", which is not a whole number"
    assert refused.value.code == ErrorCode.INVALID_ARGUMENT
    with pytest.raises(Error, match="row 3 has no field 'other'; it has cell"):
        cell(1).get("other", int)


def test_a_value_of_another_kind_is_refused() -> None:
    for value, kind in [(7, str), (True, int), (True, float), (1, bool), (1.5, int)]:
        with pytest.raises(Error):
            cell(value).get("cell", kind)
