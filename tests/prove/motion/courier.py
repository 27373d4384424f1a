"""A rider of the storm: rides a circle, takes every offer, and does what its route says after a while."""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass, field

from node.geodesy import M_PER_E7, lng_scale
from tracking.client import Event, Offer, RiderClient, RiderStatus, Route, Stop, StopKind

#: From a stop's turn to its being done, wall seconds.
_AT_COUNTER_S = 4.0
_AT_DOOR_S = 12.0
#: Metres of the circle, and its speed in metres a second.
_RADIUS_M = 300.0
_SPEED_M_S = 8.0


@dataclass(slots=True)
class Gate:
    """Orders that are picked up and then held, so that customers watch a rider who moves, until they are let go."""

    #: Orders seen while it is open to new ones are held.
    holding: bool = True
    held: set[str] = field(default_factory=set)
    released: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(slots=True)
class Courier:
    """One rider. `client` is set right after it is made: the client needs the courier's ear."""

    home: tuple[int, int]
    number: int
    gate: Gate
    client: RiderClient | None = None
    _step: int = 0
    _done: set[tuple[StopKind, str]] = field(default_factory=set)
    _doing: asyncio.Task[None] | None = None
    _route: Route | None = None

    def begin(self) -> None:
        """Comes online."""
        assert self.client is not None
        self.client.status(RiderStatus.ONLINE, capacity=2, at=self._place())

    def ride(self) -> None:
        """A second on the circle."""
        assert self.client is not None
        self._step += 1
        lat_e7, lng_e7 = self._place()
        self.client.fix(lat_e7, lng_e7, speed_cms=round(_SPEED_M_S * 100), heading_cdeg=self._step * 100 % 36_000)

    def hear(self, event: Event) -> None:
        """Act on an event of the edge."""
        client = self.client
        assert client is not None
        if isinstance(event, Offer):
            client.reply(event.offer_id, accepted=True)
        elif isinstance(event, Route):
            self._route = event
            if self._doing is None or self._doing.done():
                self._doing = asyncio.create_task(self._follow(), name=f"courier {self.number}")

    async def _follow(self) -> None:
        """Does the stops of the newest route until there is none that is not done."""
        while (stop := self._next()) is not None:
            if stop.kind is StopKind.DROPOFF and self.gate.held.intersection(stop.order_ids):
                await self.gate.released.wait()
            await asyncio.sleep(_AT_COUNTER_S if stop.kind is StopKind.PICKUP else _AT_DOOR_S)
            self._do(stop)

    def _next(self) -> Stop | None:
        for stop in self._route.stops if self._route is not None else ():
            if self.gate.holding:
                self.gate.held.update(stop.order_ids)
            if any((stop.kind, order) not in self._done for order in stop.order_ids):
                return stop
        return None

    def _do(self, stop: Stop) -> None:
        assert self.client is not None
        if stop.kind is StopKind.PICKUP:
            self.client.status(RiderStatus.ARRIVED, order_id=stop.order_ids[0])
        for order in stop.order_ids:
            if (stop.kind, order) not in self._done:
                self._done.add((stop.kind, order))
                done = RiderStatus.PICKED_UP if stop.kind is StopKind.PICKUP else RiderStatus.DELIVERED
                self.client.status(done, order_id=order)

    def _place(self) -> tuple[int, int]:
        angle = self.number + self._step * _SPEED_M_S / _RADIUS_M
        north = self.home[0] + _RADIUS_M / M_PER_E7 * math.sin(angle)
        east = self.home[1] + _RADIUS_M / M_PER_E7 * math.cos(angle) / lng_scale(self.home[0])
        return round(north), round(east)
