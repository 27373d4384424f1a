"""Our figures beside the published ones, as a table for people and rows for the report.

A group's published figures hold for all of its instances. Where a folder has only some, the row says how many.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.dispatch.published import AGGREGATES, TABLE_4
from benchmarks.dispatch.quality import MEANS, Row, means

#: Properties in the name of an instance are its parts: 1o50t100s1p125 holds o50, t100, s1, p125.
_OF_A_PROPERTY = {"o": 80, "r": 80, "s": 120, "t": 120, "p": 120}


@dataclass(frozen=True, slots=True)
class Beside:
    """Minutes of a group: ours, published, the floor (no courier could be faster), the gaps above it."""

    group: str
    instances: int
    of: int
    click_to_door: float
    published: float
    best: float | None
    floor: float
    ready_to_pickup: float
    published_ready_to_pickup: float
    undelivered_pct: float
    undelivered_floor_pct: float
    published_undelivered_pct: float | None
    cost_per_order: float
    orders_per_bundle: float

    @property
    def gap(self) -> float:
        """Ours above the floor."""
        return round(self.click_to_door - self.floor, 2)

    @property
    def published_gap(self) -> float:
        """The published above our floor: only comparable where all instances are held."""
        return round(self.published - self.floor, 2)


def beside(rows: Iterable[Row]) -> list[Beside]:
    """Every published group of which at least one instance is here; Table 4's instances each."""
    held = list(rows)
    found = []
    for published in AGGREGATES:
        mine = [r for r in held if all(token in _properties(r.instance) for token in published.tokens)]
        if mine:
            m = means(mine)
            found.append(
                Beside(
                    group=published.group,
                    instances=len(mine),
                    of=_size(published.tokens),
                    click_to_door=m["click_to_door_mean_min"],
                    published=published.click_to_door,
                    best=None,
                    floor=m["floor_min"],
                    ready_to_pickup=m["ready_to_pickup_mean_min"],
                    published_ready_to_pickup=published.ready_to_pickup,
                    undelivered_pct=m["undelivered_pct"],
                    undelivered_floor_pct=m["undelivered_floor_pct"],
                    published_undelivered_pct=published.undelivered_pct,
                    cost_per_order=m["cost_per_order"],
                    orders_per_bundle=m["orders_per_bundle"],
                )
            )
    return found + [_of_table_4(r) for r in held if r.instance in TABLE_4]


def _of_table_4(row: Row) -> Beside:
    published, m = TABLE_4[row.instance], row.metrics
    return Beside(
        group=f"{row.instance} (Table 4)",
        instances=1,
        of=1,
        click_to_door=m.click_to_door_mean_min,
        published=published.click_to_door,
        best=published.best_click_to_door,
        floor=m.floor_min,
        ready_to_pickup=m.ready_to_pickup_mean_min,
        published_ready_to_pickup=published.ready_to_pickup,
        undelivered_pct=m.undelivered_pct,
        undelivered_floor_pct=m.undelivered_floor_pct,
        published_undelivered_pct=None,
        cost_per_order=m.cost_per_order,
        orders_per_bundle=m.orders_per_bundle,
    )


def _properties(name: str) -> set[str]:
    """The parts of a name, and the name itself."""
    parts, part = {name}, ""
    for letter in name:
        if letter.isalpha():
            parts.add(part)
            part = ""
        part += letter
    return parts | {part}


def _size(tokens: tuple[str, ...]) -> int:
    if not tokens:
        return 240
    return _OF_A_PROPERTY.get(tokens[0][0], 1)


def text(rows: list[Beside]) -> str:
    """The table."""
    head = (
        f"{'group':<30}{'held':>9}  {'click-to-door':>13} {'published':>9} {'floor':>6} {'gap':>5} {'their gap':>9}"
        f"  {'ready-to-pickup':>15} {'published':>9}  {'undelivered %':>13} {'floor':>6} {'published':>9}"
    )
    return "\n".join([head, *map(_line, rows)])


def _line(b: Beside) -> str:
    published = "" if b.published_undelivered_pct is None else f"{b.published_undelivered_pct:.2f}"
    return (
        f"{b.group:<30}{f'{b.instances}/{b.of}':>9}  {b.click_to_door:>13.2f} {b.published:>9.2f} {b.floor:>6.2f}"
        f" {b.gap:>5.2f} {b.published_gap:>9.2f}  {b.ready_to_pickup:>15.2f} {b.published_ready_to_pickup:>9.2f}"
        f"  {b.undelivered_pct:>13.3f} {b.undelivered_floor_pct:>6.3f} {published:>9}"
    )


def markdown(published: Sequence[Mapping[str, Any]]) -> list[str]:
    """Lines of the same table for a page, from the `published` rows of a report."""
    head = (
        "| group | held | click-to-door, min | published | floor | ready-to-pickup, min | published | undelivered, % "
        "| floor | published |"
    )
    return [head, "|---|" + "---:|" * 9, *map(_markdown_line, published)]


def _markdown_line(row: Mapping[str, Any]) -> str:
    times = ("click_to_door", "published", "floor", "ready_to_pickup", "published_ready_to_pickup")
    theirs = row["published_undelivered_pct"]
    cells = [
        row["group"],
        f"{row['instances']}/{row['of']}",
        *(f"{row[name]:.2f}" for name in times),
        f"{row['undelivered_pct']:.3f}",
        f"{row['undelivered_floor_pct']:.3f}",
        "" if theirs is None else f"{theirs:.2f}",
    ]
    return f"| {' | '.join(cells)} |"


def markdown_of_waiting(without: Mapping[str, Any], with_: Mapping[str, Any]) -> list[str]:
    """Lines of a table of the summaries without and with idle couriers sent to wait."""
    rows = [f"| {name} | {without[name]:.3f} | {with_[name]:.3f} |" for name in (*MEANS, "violations")]
    return ["| idle couriers sent to wait | without | with |", "|---|---:|---:|", *rows]
