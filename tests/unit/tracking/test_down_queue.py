"""Messages that wait for one stream are conflated, never queued without bound."""

from __future__ import annotations

from tracking.engine.down_queue import Acked, DownQueue, GoAway, Retracted, Throttled
from tracking.model import Offer, Refusal, Route


async def test_a_slow_reader_gets_the_newest_of_each() -> None:
    """A thousand acks, routes, throttles and repeats of an offer become one of each."""
    down_queue = DownQueue()
    for n in range(1, 1001):
        down_queue.ack(n)
        down_queue.route(Route(n, b""))
        down_queue.throttle(float(n))
        down_queue.offer(Offer("o-1", n, b""))
    assert down_queue.take() == [Acked(1000), Offer("o-1", 1000, b""), Route(1000, b""), Throttled(1000.0)]
    assert not down_queue.pending
    assert down_queue.take() == []


async def test_a_retraction_replaces_its_offer() -> None:
    """An offer that was not sent yet and is retracted is told as retracted only."""
    down_queue = DownQueue()
    down_queue.offer(Offer("o-1", 1, b""))
    down_queue.offer(Retracted("o-1", "retracted"))
    assert down_queue.take() == [Retracted("o-1", "retracted")]


async def test_refusals_come_before_the_ack_that_covers_them() -> None:
    """So an app never counts a refused message as acknowledged."""
    down_queue = DownQueue()
    down_queue.ack(5)
    down_queue.refuse(Refusal(5, "pings.seq", "batch_size", ""))
    assert [type(one) for one in down_queue.take()] == [Refusal, Acked]


async def test_closing_wakes_the_writer() -> None:
    """The writer sends the rest and then learns why the stream ends."""
    down_queue = DownQueue()
    down_queue.go_away(100)
    down_queue.close()
    down_queue.close(None)
    await down_queue.wait()
    assert down_queue.take() == [GoAway(100)]
    assert down_queue.end == (None,)
