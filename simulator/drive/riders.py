"""Riders over gRPC: each mind of `simulator.city.rider` gets an app, the SDK of `tracking.client`."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import structlog

from node.clock import Clock
from simulator.city import actions as act
from simulator.city.rider import Rider
from simulator.drive.app import fix_row, messages_of, mind_hears
from simulator.drive.tokens import Tokens
from tracking.client.errors import FlushTimeout
from tracking.client.link import EdgeLink
from tracking.client.rider import RiderClient
from tracking.client.send_buffer import Reply, Status
from tracking.client.values import Event, Refused

#: How often the fleet looks who has something to do, wall seconds: what a rider does is at most so late.
_LOOK_EVERY_S = 0.025
#: HTTP/2 connections that the riders' streams share.
_CONNECTIONS = 4


class Pilot:
    """A rider and the app in its hand."""

    def __init__(self, rider: Rider, link: EdgeLink, token: str, clock: Clock) -> None:
        self.rider = rider
        self._clock = clock
        self.client = RiderClient(link, token, clock, on_event=self._heard, seed=rider.profile.rider_id)
        self.refused: Counter[str] = Counter()
        #: Times of fixes made while the phone had no network: they reach a screen late by nature.
        self.made_offline_ms: set[int] = set()

    def step(self, now_ms: int) -> None:
        """Lets the rider live up to now."""
        self._do(self.rider.step(now_ms))

    def _heard(self, event: Event) -> None:
        if isinstance(event, Refused):
            self.refused[event.reason] += 1
        self._do(mind_hears(self.rider, event, self._clock.domain_ms()))

    def _do(self, actions: Iterable[act.Action]) -> None:
        for action in actions:
            match action:
                case act.Fix():
                    self._fix(action)
                case act.SignalLost() | act.SignalBack():
                    self.client.signal(isinstance(action, act.SignalBack))
                case _:
                    for message in messages_of(action, self.rider.profile):
                        self._say(message)

    def _fix(self, fix: act.Fix) -> None:
        if not self.client.connected:
            self.made_offline_ms.add(fix.at_ms)
        ts_ms, lat_e7, lng_e7, accuracy_dm, heading_cdeg, speed_cms = fix_row(fix)
        self.client.fix(
            lat_e7, lng_e7, accuracy_dm=accuracy_dm, heading_cdeg=heading_cdeg, speed_cms=speed_cms, ts_ms=ts_ms
        )

    def _say(self, message: Reply | Status) -> None:
        if isinstance(message, Reply):
            self.client.reply(message.offer_id, message.accepted)
            return
        self.client.status(
            message.status,
            order_id=message.order_id,
            shift_end_ms=message.shift_end_ms,
            capacity=message.capacity,
            vehicle=message.vehicle,
            at=message.at,
            ts_ms=message.ts_ms,
        )


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
        """Let every rider do what is due. Raises what ended a rider's app."""
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
            if isinstance(error, BaseException) and not isinstance(error, FlushTimeout):
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
        """Number of messages not acknowledged yet."""
        return sum(pilot.client.unacked for pilot in self.pilots)

    @property
    def without_signal(self) -> int:
        """Riders whose phone has no network."""
        return sum(not pilot.rider.has_signal for pilot in self.pilots)

    @property
    def refused(self) -> Counter[str]:
        """Refusals of the edge, by reason."""
        return sum((pilot.refused for pilot in self.pilots), Counter())

    def made_offline_ms(self) -> set[int]:
        """Domain times at which a phone without network made a fix."""
        return set().union(*(pilot.made_offline_ms for pilot in self.pilots))

    def acked_fixes(self) -> Iterator[tuple[int, int, int]]:
        """(rider, session, seq) of every acknowledged fix."""
        for pilot in self.pilots:
            for session, seq in pilot.client.journal.acked_fixes:
                yield pilot.rider.profile.rider_id, session, seq
