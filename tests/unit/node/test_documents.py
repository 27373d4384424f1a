"""JSON documents are read strictly, and every fault is named with its path."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict, Field

from node.documents import BadDocument, parse_json, read_text, validated


class Point(BaseModel):
    """A place, for the tests."""

    model_config = ConfigDict(strict=True, extra="forbid")

    at: list[float] = Field(min_length=2)
    label: str


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"a": {"b": NaN}}', "a.b: must be a finite number"),
        ('{"a": [0, -Infinity]}', r"a\[1\]: must be a finite number"),
        ('{"a": 1e400}', "a: must be a finite number"),
        ('{"a": %s}' % ("9" * 5_000), "a: must be a finite number"),
        ('{"a": 9223372036854775808}', "a: must be within"),
        ('{"note": "a\\u0000b"}', "note: holds the character NUL"),
        ('{"note": "\\ud83d"}', "note: holds half of a surrogate pair"),
        ('{"\\udc00": 1}', r'\["\\udc00"\]: the name holds half of a surrogate pair'),
        ('{"a": {"b": 1, "c": 2, "b": 3}}', "a.b: is given twice"),
        ("[" * 40 + "]" * 40, "nested more than 32 deep"),
        ("[" * 100_000, "nested more than 32 deep"),
        ("", "is no JSON: Expecting value at line 1, column 1"),
        ('{"a": 1,}', "is no JSON"),
        ('{"a": NaN, "b": [1e999, "\\u0000"]}', r"a: .*; b\[0\]: .*; b\[1\]: "),
    ],
    ids=lambda value: ascii(value)[:30],
)
def test_what_no_other_reader_would_take_is_refused_with_its_path(text: str, said: str) -> None:
    """Also where Python's own reader takes it."""
    with pytest.raises(BadDocument, match=said):
        parse_json(text)


@pytest.mark.parametrize(
    "text", ['{"note": "Ñuñoa 🍕"}', '\ufeff{"a": 9223372036854775807}', '[1e300, "\\ud83c\\udf55"]']
)
def test_honest_documents_are_read(text: str) -> None:
    """Letters of all the world, a byte order mark, the largest integer, whole surrogate pairs."""
    assert parse_json(text)


def test_all_faults_of_a_model_are_named_at_once() -> None:
    """A wrong type within a list, a missing and an unknown key."""
    with pytest.raises(BadDocument) as refused:
        validated(Point, {"at": [0.0, "1"], "lable": "x"})
    assert {str(flaw) for flaw in refused.value.flaws} == {
        "at[1]: must be a number, got '1'",
        "label: is missing",
        "lable: is not known here",
    }


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    """A folder, a missing file, one that is too large, one that is no text."""
    large, binary = tmp_path / "large.json", tmp_path / "binary.json"
    large.write_text(" " * 101)
    binary.write_bytes(b'{"a": "\xff"}')
    for file, said in (
        (tmp_path, "cannot be read: Is a directory"),
        (tmp_path / "none.json", "cannot be read: No such file"),
        (large, "is larger than 100 bytes"),
        (binary, "is no UTF-8 text: byte 8"),
    ):
        with pytest.raises(BadDocument, match=said):
            read_text(file, 100)
    marked = tmp_path / "marked.json"
    marked.write_bytes(b"\xef\xbb\xbf{}")
    assert read_text(marked, 100) == "{}"
