"""What waits for one stream is conflated, never queued without bound."""

from __future__ import annotations

from tracking.engine.outbox import Acked, GoAway, Outbox, Retracted, Throttled
from tracking.model import Offer, Refusal, Route


async def test_a_slow_reader_gets_the_newest_of_each() -> None:
    """A thousand acks, routes, throttles and repeats of an offer become one of each."""
    outbox = Outbox()
    for n in range(1, 1001):
        outbox.ack(n)
        outbox.route(Route(n, b""))
        outbox.throttle(float(n))
        outbox.offer(Offer("o-1", n, b""))
    assert outbox.take() == [Acked(1000), Offer("o-1", 1000, b""), Route(1000, b""), Throttled(1000.0)]
    assert not outbox.pending
    assert outbox.take() == []


async def test_a_retraction_replaces_its_offer() -> None:
    """An offer that was not sent yet and is retracted is told as retracted only."""
    outbox = Outbox()
    outbox.offer(Offer("o-1", 1, b""))
    outbox.offer(Retracted("o-1", "retracted"))
    assert outbox.take() == [Retracted("o-1", "retracted")]


async def test_refusals_come_before_the_ack_that_covers_them() -> None:
    """So an app never counts a refused message as acknowledged."""
    outbox = Outbox()
    outbox.ack(5)
    outbox.refuse(Refusal(5, "pings.seq", "batch_size", ""))
    assert [type(one) for one in outbox.take()] == [Refusal, Acked]


async def test_closing_wakes_the_writer() -> None:
    """The writer sends the rest and then learns why the stream ends."""
    outbox = Outbox()
    outbox.go_away(100)
    outbox.close()
    outbox.close(None)
    await outbox.wait()
    assert outbox.take() == [GoAway(100)]
    assert outbox.end == (None,)
