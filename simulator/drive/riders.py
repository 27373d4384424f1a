"""Riders over gRPC: each mind of `simulator.city.rider` gets an app, the SDK of `tracking.client`."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import structlog

from node.clock import Clock
from simulator.city import actions as act
from simulator.city.model import Offer, OfferId, OrderId, Place, Route, Stop, StopKind
from simulator.city.rider import Rider
from simulator.drive.tokens import Tokens
from tracking.client import values as app
from tracking.client.errors import DrainTimeout
from tracking.client.link import EdgeLink
from tracking.client.rider import RiderClient

#: How often the fleet looks who has something to do, wall seconds: what a rider does is at most so late.
_LOOK_EVERY_S = 0.025
_VEHICLES = {"bicycle": app.Vehicle.BICYCLE, "scooter": app.Vehicle.SCOOTER, "car": app.Vehicle.CAR}
#: A token is wanted for the whole demo: riders do not renew it.
_CONNECTIONS = 4


class Pilot:
    """A rider and the app in its hand."""

    def __init__(self, rider: Rider, link: EdgeLink, token: str, clock: Clock) -> None:
        self.rider = rider
        self._clock = clock
        self.client = RiderClient(link, token, clock, on_event=self._heard, seed=rider.profile.rider_id)
        self.refused: Counter[str] = Counter()

    def step(self, now_ms: int) -> None:
        """Lets the rider live up to now."""
        self._do(self.rider.step(now_ms))

    def _heard(self, event: app.Event) -> None:
        now_ms = self._clock.domain_ms()
        match event:
            case app.Offer():
                offer = Offer(OfferId(event.offer_id), _stops(event.stops), event.expires_ms)
                self._do(self.rider.hear_offer(offer, now_ms))
            case app.OfferRetracted():
                self._do(self.rider.hear_retracted(OfferId(event.offer_id), now_ms))
            case app.Route():
                self._do(self.rider.hear_route(Route(event.version, _stops(event.stops)), now_ms))
            case app.Refused():
                self.refused[event.reason] += 1
            case _:
                pass

    def _do(self, actions: Iterable[act.Action]) -> None:
        for action in actions:
            self._do_one(action)

    def _do_one(self, action: act.Action) -> None:
        client = self.client
        match action:
            case act.Fix():
                client.fix(
                    action.place.lat_e7,
                    action.place.lng_e7,
                    accuracy_dm=round(action.accuracy_m * 10),
                    heading_cdeg=round(action.heading_deg * 100) % 36_000,
                    speed_cms=round(action.speed_mps * 100),
                    ts_ms=action.at_ms,
                )
            case act.Online():
                client.status(
                    app.RiderStatus.ONLINE,
                    shift_end_ms=action.shift_end_ms,
                    capacity=self.rider.profile.capacity,
                    vehicle=_VEHICLES[self.rider.profile.vehicle],
                    at=(action.place.lat_e7, action.place.lng_e7),
                    ts_ms=action.at_ms,
                )
            case act.Offline():
                client.status(app.RiderStatus.OFFLINE, ts_ms=action.at_ms)
            case act.Answered():
                client.reply(action.offer_id, action.accepted)
            case act.Arrived():
                client.status(app.RiderStatus.ARRIVED, order_id=action.order_ids[0], ts_ms=action.at_ms)
            case act.PickedUp():
                for order_id in action.order_ids:
                    client.status(app.RiderStatus.PICKED_UP, order_id=order_id, ts_ms=action.at_ms)
            case act.Delivered():
                client.status(app.RiderStatus.DELIVERED, order_id=action.order_id, ts_ms=action.at_ms)
            case act.SignalLost():
                client.signal(False)
            case act.SignalBack():
                client.signal(True)
            case act.Seen():
                pass  # the SDK tells the edge by itself


class Fleet:
    """All riders. `run` lives until cancelled; `drain` then sees everything acknowledged."""

    def __init__(self, riders: Sequence[tuple[str, Rider]], edge_address: str, tokens: Tokens, clock: Clock) -> None:
        self._clock = clock
        self._link = EdgeLink(edge_address, connections=_CONNECTIONS)
        self._log = structlog.get_logger(part="riders")
        self.pilots = tuple(
            Pilot(rider, self._link, tokens.get("rider", str(rider.profile.rider_id), city=city), clock)
            for city, rider in riders
        )

    async def run(self) -> None:
        """Every rider does what is due. Raises what ended a rider's app."""
        for pilot in self.pilots:
            pilot.client.start()
        while True:
            now_ms = self._clock.domain_ms()
            for pilot in self.pilots:
                if pilot.rider.due_ms() <= now_ms:
                    pilot.step(now_ms)
                if pilot.client.failure is not None:
                    raise pilot.client.failure
            await asyncio.sleep(_LOOK_EVERY_S)

    async def drain(self, timeout_s: float) -> int:
        """Gives everybody a signal and waits until all is acknowledged; returns how much is not, after the time."""
        for pilot in self.pilots:
            pilot.client.signal(True)
        done = await asyncio.gather(*(p.client.drain(timeout_s) for p in self.pilots), return_exceptions=True)
        for error in done:
            if isinstance(error, BaseException) and not isinstance(error, DrainTimeout):
                raise error
        return sum(pilot.client.unacked for pilot in self.pilots)

    async def close(self) -> None:
        """Hangs up."""
        await asyncio.gather(*(pilot.client.close() for pilot in self.pilots))
        await self._link.close()

    @property
    def fixes_sent(self) -> int:
        """Fixes that went out, resent ones counted again."""
        return sum(pilot.client.journal.sent_fixes for pilot in self.pilots)

    @property
    def waiting(self) -> int:
        """What is not acknowledged yet."""
        return sum(pilot.client.unacked for pilot in self.pilots)

    @property
    def without_signal(self) -> int:
        """Riders whose phone has no network."""
        return sum(not pilot.rider.has_signal for pilot in self.pilots)

    @property
    def refused(self) -> Counter[str]:
        """What the edge refused, by reason."""
        return sum((pilot.refused for pilot in self.pilots), Counter())

    def acked_fixes(self) -> Iterator[tuple[int, int, int]]:
        """(rider, session, seq) of every acknowledged fix."""
        for pilot in self.pilots:
            for session, seq in pilot.client.journal.acked_fixes:
                yield pilot.rider.profile.rider_id, session, seq


def _stops(stops: Iterable[app.Stop]) -> tuple[Stop, ...]:
    return tuple(
        Stop(
            StopKind.PICKUP if stop.kind is app.StopKind.PICKUP else StopKind.DROP,
            tuple(OrderId(order_id) for order_id in stop.order_ids),
            Place(stop.lat_e7, stop.lng_e7),
            stop.ready_ms,
        )
        for stop in stops
    )
