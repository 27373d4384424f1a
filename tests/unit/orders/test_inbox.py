"""The inbox: duplicates dropped, gaps held, whatever the interleaving."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from orders.messaging.inbox import admit


@dataclass(frozen=True, slots=True)
class Event:
    """An event that is nothing but its version."""

    version: int


def test_an_event_behind_a_gap_waits_for_the_one_before_it() -> None:
    """Version 3 is held until 2 has come, then both are applied."""
    first = admit(1, [Event(3)])
    assert (first.apply, first.hold, first.seen) == ([], [Event(3)], 1)
    second = admit(1, [*first.hold, Event(2)])
    assert (second.apply, second.hold, second.seen) == ([Event(2), Event(3)], [], 3)


def test_what_was_seen_is_dropped_and_counted() -> None:
    """Old versions and repetitions within a batch are duplicates."""
    admitted = admit(4, [Event(4), Event(5), Event(5), Event(1)])
    assert (admitted.apply, admitted.duplicates) == ([Event(5)], 3)


@given(st.data())
def test_each_event_is_applied_once_and_in_order(data: st.DataObject) -> None:
    """Any batches of any interleaving with any repetitions apply 1, 2, 3, ... and hold nothing in the end."""
    events = [Event(version) for version in range(1, data.draw(st.integers(1, 12)) + 1)]
    repeated = data.draw(st.lists(st.sampled_from(events), max_size=20))
    arriving = data.draw(st.permutations(events + repeated))
    seen, held, applied = 0, list[Event](), list[Event]()
    while arriving:
        size = data.draw(st.integers(1, len(arriving)))
        admitted = admit(seen, [*held, *arriving[:size]])
        arriving = arriving[size:]
        seen, held = admitted.seen, admitted.hold
        applied += admitted.apply
    assert applied == events
    assert not held
