"""What `forno explain` shows of an offer."""

from __future__ import annotations

import io
import json

from rich.console import Console

from dispatch.adapters.memory import MemoryDecisionLog
from dispatch.explain import offer_table
from dispatch.model import OrderId
from tests.unit.dispatch.live.worlds import offer, order, ownership, record, tick_of


async def test_an_offer_as_people_read_it() -> None:
    """Who, what came of it, the terms of the cost, who else could have come and what they did instead."""
    log = MemoryDecisionLog()
    tick = tick_of(
        ownership("roma"),
        1,
        orders=(order("o-1"),),
        offers=(offer("f-1", 7, "o-1"),),
        records=(record("f-1", 7, "o-1"),),
    )
    await log.commit(tick)
    (document,) = await log.explain("roma", OrderId("o-1"))
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(offer_table(1, "o-1", json.loads(document)))
    text = " ".join(console.export_text().split())
    for words in (
        "rider 7: live",
        "delay 100, approach 20",
        "99",
        "150 (alone)",
        "stays idle",
        "2 riders could have come",
    ):
        assert words in text
