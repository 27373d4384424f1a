"""Places in a topic, as the inbox sees them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol


class Record(Protocol):
    """The fields needed of a Kafka record."""

    topic: str
    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class Offset:
    """The next offset to read from a partition."""

    topic: str
    partition: int
    next: int


def offsets_after(records: Iterable[Record]) -> list[Offset]:
    """Where to go on after these records; those of each partition are in their order."""
    last = {(record.topic, record.partition): record.offset + 1 for record in records}
    return [Offset(topic, partition, offset) for (topic, partition), offset in last.items()]
