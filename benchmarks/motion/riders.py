"""A process of riders on a real stack: `python -m benchmarks.motion.riders --riders 2000`, with `FORNO_*` set.

Each rider is the SDK's client. It sends one fix a second, evenly spread over the second, as it wanders about; it takes
every offer and says at once that it has the food, so that the customer sees it exactly; it never delivers. A line of
JSON is printed when all are connected, and one for each word of the parent: what was sent and acknowledged so far.
"""

from __future__ import annotations

import asyncio
import os
from math import cos, sin
from pathlib import Path
from random import Random

import uvloop

from benchmarks.motion.child_process import say, words
from benchmarks.motion.place import CITY, somewhere
from node import arguments
from node.clock import SystemClock
from node.lifecycle import calm_collector
from node.settings import NodeSettings, load
from node.tokens import TokenSigner
from tracking.client import EdgeLink, Event, Offer, RiderClient, RiderStatus, Vehicle

#: HTTP/2 connections that the streams share.
CONNECTIONS = 4
#: Metres a second, and 1e-7 degrees in a metre of latitude.
SPEED_M_S = 6.0
E7_IN_M = 90.0
CONNECT_S = 60.0
_TOKEN_S = 7200


class Wanderer:
    """A rider who takes whatever is offered and drives on."""

    def __init__(self, number: int, link: EdgeLink, token: str, clock: SystemClock, rng: Random) -> None:
        self.at = somewhere(rng)
        self.heading = rng.uniform(0, 6.28)
        self.client = RiderClient(link, token, clock, on_event=self.hear, seed=number)

    def hear(self, event: Event) -> None:
        """Accepts an offer, is at the counter at once, and has the food."""
        if isinstance(event, Offer):
            self.client.reply(event.offer_id, accepted=True)
            for order_id in event.order_ids:
                self.client.status(RiderStatus.ARRIVED, order_id=order_id)
                self.client.status(RiderStatus.PICKED_UP, order_id=order_id)

    def move(self) -> None:
        """One second of driving, and the fix."""
        self.heading += 0.1
        step = SPEED_M_S * E7_IN_M
        self.at = round(self.at[0] + step * cos(self.heading)), round(self.at[1] + step * sin(self.heading))
        cdeg = round(self.heading * 5729.578) % 36_000
        self.client.fix(*self.at, heading_cdeg=cdeg, speed_cms=round(100 * SPEED_M_S))


class Riders:
    """All riders of the process."""

    def __init__(self, count: int, link: EdgeLink, signer: TokenSigner, clock: SystemClock, seed: int) -> None:
        rng = Random(seed)
        self.all: list[Wanderer] = []
        for number in range(1, count + 1):
            token = signer.sign("rider", str(number), ttl_s=_TOKEN_S, city=CITY)
            self.all.append(Wanderer(number, link, token, clock, rng))

    async def connect(self) -> None:
        """Brings everybody online, some at a time. Raises `TimeoutError`."""
        async with asyncio.timeout(CONNECT_S):
            for at in range(0, len(self.all), 50):
                for rider in self.all[at : at + 50]:
                    rider.client.start()
                    rider.client.status(RiderStatus.ONLINE, capacity=1, vehicle=Vehicle.SCOOTER, at=rider.at)
                for rider in self.all[at : at + 50]:
                    await rider.client.drain(CONNECT_S)

    def go(self) -> None:
        """Everybody sends once a second from now on, each at its own moment."""
        loop = asyncio.get_running_loop()
        begun_s = loop.time()
        for index, rider in enumerate(self.all):
            due_s = begun_s + index / len(self.all)
            loop.call_at(due_s, self._tick, loop, rider, due_s)

    def _tick(self, loop: asyncio.AbstractEventLoop, rider: Wanderer, due_s: float) -> None:
        rider.move()
        loop.call_at(due_s + 1.0, self._tick, loop, rider, due_s + 1.0)

    def totals(self) -> dict[str, int]:
        """Counts of all clients so far."""
        journals = [rider.client.journal for rider in self.all]
        return {
            "sent": sum(journal.sent_fixes for journal in journals),
            "acked": sum(len(journal.acked_fixes) for journal in journals),
            "refused": sum(len(journal.refused) for journal in journals),
            "thinned": sum(journal.thinned_fixes for journal in journals),
            "sessions": sum(journal.sessions for journal in journals),
        }


async def run(count: int, seed: int) -> None:
    """Rides until the parent hangs up."""
    settings = load(NodeSettings)
    signer = TokenSigner(Path(os.environ["FORNO_JWT_PRIVATE_KEY_FILE"]))
    async with EdgeLink(os.environ["FORNO_TRACKING_ADDRESS"], connections=CONNECTIONS) as link:
        riders = Riders(count, link, signer, settings.clock(), seed)
        await riders.connect()
        calm_collector()
        riders.go()
        say({"connected": count})
        async for _ in words():
            say(riders.totals())


def main() -> None:
    parser = arguments.Parser(description=__doc__)
    parser.add_argument("--riders", type=arguments.whole(1, 1_000_000), default=2000)
    parser.add_argument("--seed", type=arguments.whole(0, arguments.MAX_ID), default=1)
    args = parser.parse_args()
    uvloop.run(run(args.riders, args.seed))


if __name__ == "__main__":
    main()
