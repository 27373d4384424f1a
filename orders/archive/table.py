"""Rows of the table `orders` as Arrow columns, and a digest that is the same on both sides.

The columns are those that the table has, by their types: a migration that adds one needs nothing here. `city` is in the
path, not in the file. A column `point` comes first: the shard point (`ids`), which is in the id and follows from the
user. Rows are sorted by it, so that the statistics of row groups let an order and the orders of a user be found alike.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa

from orders.ids import point_of_order
from orders.model import OrderId

Row = Mapping[str, Any]

#: Postgres type -> Arrow type. JSON stays the text that Postgres gives.
_TYPES: Mapping[str, pa.DataType] = {
    "uuid": pa.string(),
    "text": pa.string(),
    "jsonb": pa.string(),
    "timestamp with time zone": pa.timestamp("us", "UTC"),
    "bigint": pa.int64(),
    "integer": pa.int32(),
    "boolean": pa.bool_(),
    "numeric": pa.decimal128(20, 0),
}
POINT, CITY = "point", "city"


def schema_of(columns: Sequence[tuple[str, str]]) -> pa.Schema:
    """The schema of a file, from the table's columns as (name, type). Raises `ValueError` for a type without a rule."""
    try:
        fields = [(name, _TYPES[kind]) for name, kind in columns if name != CITY]
    except KeyError as error:
        raise ValueError(f"the archive does not know the column type {error}") from None
    return pa.schema([(POINT, pa.int32()), *fields])


def batch_of(rows: Sequence[Row], schema: pa.Schema) -> pa.RecordBatch:
    """Rows as a batch."""
    points = [point_of_order(OrderId(str(row["order_id"]))) for row in rows]
    arrays = [pa.array(points, pa.int32())]
    arrays += [pa.array([_plain(row[one.name]) for row in rows], one.type) for one in list(schema)[1:]]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _plain(value: Any) -> Any:
    """UUIDs as text; all else is as Arrow wants it."""
    return value if isinstance(value, datetime | Decimal | int | str | None) else str(value)


@dataclass(slots=True)
class Tally:
    """What rows add up to: their number, the sum of each amount, and a digest that their order does not change."""

    rows: int = 0
    sums: dict[str, int] = field(default_factory=dict)
    digest: int = 0

    def add(self, rows: Iterable[Row], names: Sequence[str]) -> None:
        """Counts rows in; of each the named columns."""
        amounts = [name for name in names if name.endswith("_minor")]
        for row in rows:
            self.rows += 1
            for name in amounts:
                self.sums[name] = self.sums.get(name, 0) + row[name]
            self.digest = (self.digest + _digest(row, names)) % (1 << 128)

    def as_json(self) -> dict[str, object]:
        """For the manifest."""
        return {"rows": self.rows, "sums": self.sums, "digest": f"{self.digest:032x}"}


def _digest(row: Row, names: Sequence[str]) -> int:
    text = "\x1f".join(f"{name}={_text(row[name])}" for name in names)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=16).digest(), "big")


def _text(value: Any) -> str:
    if isinstance(value, datetime):
        return str(round(value.timestamp() * 1_000_000))
    if isinstance(value, Decimal):
        return str(int(value))
    return str(value)
