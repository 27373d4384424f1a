"""What `forno explain` shows of an offer."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from dispatch.engine.model import OrderId
from dispatch.shard.adapters.memory import MemoryDecisionLog
from dispatch.shard.explain import never_offered, show_offer
from proto.dispatch.v1 import dispatch_pb2 as pb
from tests.unit.dispatch.shard.worlds import NOON_MS, offer, order, ownership, record, tick_of


async def test_an_offer_as_people_read_it() -> None:
    """Who, what came of it, the terms of the cost, who else could have come and what they did instead."""
    log = MemoryDecisionLog()
    tick = tick_of(
        ownership("roma"),
        1,
        orders=(order("o-1"),),
        offers=(offer("f-1", 7, "o-1"),),
        records=(record("f-1", 7, "o-1"),),
        events_offset=3,
    )
    await log.commit(tick)
    (document,) = await log.explain("roma", OrderId("o-1"))
    console = Console(width=200, record=True, file=io.StringIO())
    show_offer(console, 1, "o-1", json.loads(document))
    text = " ".join(console.export_text().split())
    for words in (
        "rider 7: live",
        "delay 100, approach 20",
        "99",
        "150 (alone)",
        "stays idle",
        "2 riders could have come",
        "had read partition 0 up to fix 10 and event 3 of log log",
    ):
        assert words in text


@pytest.mark.parametrize(
    ("track", "says"),
    [
        (
            pb.TrackResponse(
                state=pb.ORDER_STATE_OPEN, events=[pb.TrackEvent(seq=1, state=pb.ORDER_STATE_OPEN, at_ms=NOON_MS)]
            ),
            "Open since 08:53:20: nobody has been asked yet",
        ),
        (pb.TrackResponse(state=pb.ORDER_STATE_CANCELLED), "Nobody was ever asked: it is cancelled."),
    ],
    ids=["open", "cancelled"],
)
def test_an_order_that_was_never_offered(track: pb.TrackResponse, says: str) -> None:
    """What it is, and what it waits for."""
    assert says in never_offered(track)
