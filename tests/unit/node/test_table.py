"""Tables fit the terminal, and no cell is cut."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.text import Text

from node.table import Number, lines

_WORDS = st.text(st.sampled_from("ab-7 é市"), max_size=60)


def shown(title: str, headings: list[str | Number], rows: list[list[str]], width: int) -> list[str]:
    """The lines as plain text."""
    return [line.plain for line in lines(title, headings, rows, width)]


def test_a_small_table_is_one_line_a_row() -> None:
    """Names to the left, numbers to the right."""
    assert shown("Shards", ["shard", Number("riders")], [["shard-1", "40"], ["shard-2", "1234"]], 80) == [
        "Shards",
        "shard    riders",
        "shard-1      40",
        "shard-2    1234",
    ]


def test_headings_are_folded_before_a_row_is() -> None:
    """A heading of many words costs no second line of each row."""
    assert shown("", ["move", "last tick to first tick"], [["1", "250 ms"]], 12) == [
        "move  last",
        "      tick",
        "      to",
        "      first",
        "      tick",
        "1     250 ms",
    ]


def test_what_finds_no_room_goes_on_to_a_further_line() -> None:
    """In the heading and in each row alike, indented."""
    assert shown("", ["shard", "cities"], [["shard-1", "la-serena (1)"]], 16) == [
        "shard",
        "  cities",
        "shard-1",
        "  la-serena (1)",
    ]


def test_the_last_column_is_folded_where_there_is_room_beside_the_others() -> None:
    """At spaces."""
    why = "delay 100, approach 20, food waits 12"
    assert shown("", ["who", "why"], [["7", why]], 36) == [
        "who  why",
        "7    delay 100, approach 20, food",
        "     waits 12",
    ]


def test_colours_do_not_count() -> None:
    """A cell may be styled text; its letters are what must fit."""
    assert [line.plain for line in lines("", ["a"], [[Text("dead", "red")]], 10)] == ["a", "dead"]


@pytest.mark.parametrize("width", [20, 40, 80])
@given(rows=st.lists(st.lists(_WORDS, min_size=4, max_size=4), max_size=4))
def test_nothing_is_cut_and_nothing_is_too_long(width: int, rows: list[list[str]]) -> None:
    """Whatever the cells hold, at every width: each character is there, in order, and each line fits."""
    found = lines("A title", ["one", Number("two"), "three of them", "four"], rows, width)
    assert all(line.cell_len <= width for line in found)
    letters = sorted(re.sub(r"\s", "", "".join(line.plain for line in found)))
    given_ = "A titleonetwothree of themfour" + "".join(cell for row in rows for cell in row)
    assert letters == sorted(re.sub(r"\s", "", given_))
