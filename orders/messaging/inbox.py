"""Decide which of the arrived events of an order may be applied now. Pure.

Producers repeat themselves (a lost reply, a relay that died after sending), so events come twice and old ones come
late; versions grow by one, so a gap shows. Whatever the interleaving, each version is applied once and in order.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar


class Versioned(Protocol):
    """An event with a version that grows by one within its order and source."""

    @property
    def version(self) -> int:
        """1 for the first event."""


V = TypeVar("V", bound=Versioned)

#: Why the message of an event of a newer release is set aside. Its version counts and changes nothing: a gap would hold
#: all later events of its order for ever.
UNKNOWN_KIND = "of a kind that this release does not know; its version counts"


@dataclass(frozen=True, slots=True)
class Admitted(Generic[V]):
    """What to do with events: apply some, hold those behind a gap; the rest were seen before."""

    apply: list[V]
    hold: list[V]
    seen: int
    duplicates: int


def admit(seen: int, events: Iterable[V]) -> Admitted[V]:
    """Sorts events, held ones and newly arrived, of one order and source. `seen` is the last version applied."""
    by_version: dict[int, V] = {}
    duplicates = 0
    for event in events:
        if event.version <= seen or event.version in by_version:
            duplicates += 1
        else:
            by_version[event.version] = event
    apply = []
    while seen + 1 in by_version:
        seen += 1
        apply.append(by_version.pop(seen))
    return Admitted(apply, [by_version[version] for version in sorted(by_version)], seen, duplicates)
