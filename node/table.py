"""Tables for people: they fit the terminal and never cut a cell.

Columns that find no room go on to a further line, indented, in the heading and in every row alike:

    shard    address          heartbeat   riders
      cities (epoch)
    shard-1  127.0.0.1:35123  214 ms ago      40
      la-serena (1), coquimbo (1)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Literal

from rich.console import Console
from rich.text import Text

#: Spaces between two columns, and before what goes on to a further line.
_GAP = 2
#: The last column is folded beside the others where there is so much room, and goes on to a further line where not.
_FOLDED_BESIDE = 28

_CONSOLE = Console(width=1)


@dataclass(frozen=True, slots=True)
class Number:
    """The heading of a column that is aligned to the right."""

    heading: str


Heading = str | Number
Cell = str | Text


@dataclass(frozen=True, slots=True)
class _Column:
    """A column as it is laid out. It is folded where a cell is wider."""

    at: int
    width: int
    indent: int
    align: Literal["left", "right"]


def show(
    title: str, headings: Sequence[Heading], rows: Sequence[Sequence[Cell]], console: Console | None = None
) -> None:
    """Print a table that fits the terminal."""
    console = console or Console()
    for line in lines(title, headings, rows, console.width):
        console.print(line, soft_wrap=True, highlight=False)


def lines(title: str, headings: Sequence[Heading], rows: Sequence[Sequence[Cell]], width: int) -> list[Text]:
    """The lines of a table, none longer than `width`; without title or headings where those are empty."""
    heads = [Text(head.heading if isinstance(head, Number) else head, "bold") for head in headings]
    cells = [[cell if isinstance(cell, Text) else Text(cell) for cell in row] for row in rows]
    groups = _groups(headings, heads, cells, width)
    result = [*_folded(Text(title, "bold"), width)] if title else []
    for row in ([heads] if any(heads) else []) + cells:
        for group in groups:
            result += _laid_out(row, group)
    return result


def _groups(
    headings: Sequence[Heading], heads: Sequence[Text], rows: Sequence[Sequence[Text]], width: int
) -> list[list[_Column]]:
    """Which columns stand on the first line of a row, and which on those after it."""
    full = [max([head.cell_len, *(row[at].cell_len for row in rows)]) for at, head in enumerate(heads)]
    whole = full
    if sum(full) + _GAP * (len(full) - 1) > width:  # headings are folded before anything else is
        whole = [max([_longest_word(head), *(row[at].cell_len for row in rows)]) for at, head in enumerate(heads)]
    groups: list[list[_Column]] = [[]]
    used = 0
    for at, wanted in enumerate(whole):
        room = width - used
        last = at == len(whole) - 1
        longest = max(_longest_word(text) for text in (heads[at], *(row[at] for row in rows)))
        if wanted > room and groups[-1] and not (last and room >= max(longest, _FOLDED_BESIDE)):
            groups.append([])
            used, room = _GAP, width - _GAP
        indent = _GAP if len(groups) > 1 and not groups[-1] else 0
        taken = min(full[at] if last else wanted, room)
        groups[-1].append(_Column(at, taken, indent, "right" if isinstance(headings[at], Number) else "left"))
        used += taken + _GAP
    return groups


def _longest_word(text: Text) -> int:
    return max((Text(word).cell_len for word in text.plain.split()), default=0)


def _laid_out(row: Sequence[Text], group: Sequence[_Column]) -> Iterator[Text]:
    """The lines of the columns of one group."""
    folded = [list(_folded(row[column.at], column.width)) for column in group]
    for parts in zip_longest(*folded, fillvalue=Text()):
        line = Text()
        for column, part in zip(group, parts, strict=True):
            line.append(" " * (column.indent if column is group[0] else _GAP))
            aligned = part.copy()
            aligned.align(column.align, column.width)
            line.append_text(aligned)
        line.rstrip()
        yield line


def _folded(text: Text, width: int) -> Iterator[Text]:
    """A cell in lines of a width, folded at spaces, and inside a word only if that is longer than the line."""
    for line in text.wrap(_CONSOLE, width, overflow="fold") or [Text()]:
        line.rstrip()
        yield line
