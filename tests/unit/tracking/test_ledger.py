"""Sequence numbers that may be acknowledged, whatever the order in which the log answers."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tracking.engine.ledger import AckLedger, Ticket


def test_acks_wait_for_the_oldest() -> None:
    """A later message that is durable first is acknowledged only when the earlier one is."""
    ledger = AckLedger()
    early, late = ledger.take(10, 10), ledger.take(11, 1)
    assert not ledger.settle(late)
    assert (ledger.acked, ledger.unacked_fixes) == (0, 11)
    assert ledger.settle(early)
    assert (ledger.acked, ledger.unacked_fixes, ledger.empty) == (11, 0, True)


def test_only_the_newest_ticket_is_extended() -> None:
    """A ticket with a later one behind it takes nothing more: its number would jump over the other's."""
    ledger = AckLedger()
    first = ledger.take(1, 1)
    assert ledger.extend(first, 2, 1)
    ledger.take(3, 0)
    assert not ledger.extend(first, 4, 1)
    assert ledger.unacked_fixes == 2


@given(st.lists(st.integers(1, 5), min_size=1, max_size=30), st.randoms(use_true_random=False))
def test_ack_covers_exactly_the_settled_prefix(sizes: list[int], random: object) -> None:
    """In any order of settling, `acked` is the highest number below which nothing is unsettled."""
    ledger, tickets, seq = AckLedger(), list[Ticket](), 0
    for size in sizes:
        seq += size
        tickets.append(ledger.take(seq, size))
    order = list(range(len(tickets)))
    random.shuffle(order)  # type: ignore[attr-defined]
    settled: set[int] = set()
    for index in order:
        ledger.settle(tickets[index])
        settled.add(index)
        prefix = next((i for i in range(len(tickets)) if i not in settled), len(tickets))
        assert ledger.acked == (tickets[prefix - 1].last_seq if prefix else 0)
        assert ledger.unacked_fixes == sum(sizes[prefix:])
    assert ledger.empty
