"""Keep riders' offers and routes up to date: ask the cities' owners, put changes into the riders' queues.

Committed state is asked for each second, and at once after a wake; a lost wake costs a second. While an owner is away
riders keep what they have; the next answer puts it right. Answers of an older epoch than the last are dropped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import structlog

from node.clock import Clock
from tracking import metrics
from tracking.engine.session import RiderSession
from tracking.errors import OwnerAway
from tracking.model import CityTasks, Offer, OpenOffers, RiderId, Tasks
from tracking.ports import OfferSource, Wakes

POLL_S = 1.0
#: Routes are told by wakes; this often (in polls) they are asked for anyway, in case a wake was lost.
ROUTES_EVERY = 5
#: Riders in one question for tasks.
MAX_ASKED = 500
#: A Hello waits this long for the rider's tasks; they come later if the owner is slow.
WELCOME_S = 1.0


@dataclass(slots=True)
class _CityQueue:
    """Connected riders of one city, and the questions that wait for its owner."""

    sessions: dict[RiderId, RiderSession] = field(default_factory=dict)
    epoch: int = 0
    away: bool = False
    offers_wanted: bool = False
    tasks_wanted: set[RiderId] = field(default_factory=set)
    waiters: dict[RiderId, asyncio.Future[Tasks]] = field(default_factory=dict)
    worker: asyncio.Task[None] | None = None


class TaskSync:
    """Keeps offers and routes of all riders of this edge. One question at a time a city, later ones are joined."""

    def __init__(
        self,
        source: OfferSource,
        clock: Clock,
        fail: Callable[[BaseException], None],
        log: structlog.stdlib.BoundLogger,
    ) -> None:
        self._fail = fail
        self._source = source
        self._clock = clock
        self._log = log
        self._cities: dict[str, _CityQueue] = {}

    async def run(self) -> None:
        """Asks all cities each second, until cancelled."""
        polls = 0
        while True:
            await asyncio.sleep(POLL_S)
            polls += 1
            for name, city in self._cities.items():
                city.offers_wanted = True
                if polls % ROUTES_EVERY == 0:
                    city.tasks_wanted.update(city.sessions)
                self._ask(name, city)

    async def run_wakes(self, wakes: Wakes) -> None:
        """Asks at once for what a wake names, until cancelled."""
        async for wake in wakes.listen():
            city = self._cities.get(wake.city)
            if city is not None:
                city.offers_wanted = True
                city.tasks_wanted.update(rider for rider in wake.rider_ids if rider in city.sessions)
                self._ask(wake.city, city)

    async def welcome(self, session: RiderSession) -> Tasks:
        """Takes a rider in, and returns the tasks for the Welcome; none when the owner is away or slow."""
        city = self._cities.setdefault(session.city, _CityQueue())
        city.sessions[session.rider_id] = session
        city.tasks_wanted.add(session.rider_id)
        self._ask(session.city, city)
        if city.away:
            return Tasks()
        waiter: asyncio.Future[Tasks] = asyncio.get_running_loop().create_future()
        city.waiters[session.rider_id] = waiter
        try:
            async with asyncio.timeout(WELCOME_S):
                tasks = await waiter
        except TimeoutError:
            return Tasks()
        finally:
            if city.waiters.get(session.rider_id) is waiter:
                del city.waiters[session.rider_id]
        return tasks

    def leave(self, session: RiderSession) -> None:
        """The session is over."""
        city = self._cities.get(session.city)
        if city is None or city.sessions.get(session.rider_id) is not session:
            return
        del city.sessions[session.rider_id]
        city.tasks_wanted.discard(session.rider_id)
        if not city.sessions and city.worker is None:
            del self._cities[session.city]

    def close(self) -> None:
        """Stops asking."""
        for city in self._cities.values():
            if city.worker is not None:
                city.worker.cancel()

    def _ask(self, name: str, city: _CityQueue) -> None:
        # A worker that is done may not have been told apart yet: its callback runs in the loop's next round.
        if (city.worker is None or city.worker.done()) and city.sessions:
            city.worker = asyncio.create_task(self._work(name, city), name=f"tasks of {name}")
            city.worker.add_done_callback(lambda done: self._worked(name, city, done))

    def _worked(self, name: str, city: _CityQueue, worker: asyncio.Task[None]) -> None:
        if city.worker is worker:
            city.worker = None
        if not worker.cancelled() and (error := worker.exception()):
            self._fail(error)
        if not city.sessions and city.worker is None and self._cities.get(name) is city:
            del self._cities[name]

    async def _work(self, name: str, city: _CityQueue) -> None:
        asked: list[RiderId] = []
        try:
            while city.tasks_wanted or city.offers_wanted:
                if city.tasks_wanted:
                    # Taken out before asking: a wake that comes meanwhile asks once more.
                    asked = sorted(city.tasks_wanted)[:MAX_ASKED]
                    city.tasks_wanted.difference_update(asked)
                    self._told(city, asked, await self._source.tasks(name, asked))
                    asked = []
                else:
                    city.offers_wanted = False
                    self._offered(city, await self._source.open_offers(name))
        except OwnerAway as error:
            metrics.OWNER_AWAY.inc()
            if not city.away:
                self._log.warning("the city's owner is away; riders keep what they have", city=name, error=str(error))
            city.away = True
            city.tasks_wanted.update(rider for rider in asked if rider in city.sessions)
            for waiter in city.waiters.values():
                if not waiter.done():
                    waiter.set_result(Tasks())

    def _told(self, city: _CityQueue, asked: Iterable[RiderId], answer: CityTasks) -> None:
        city.away = False
        if answer.epoch < city.epoch:
            return
        city.epoch = answer.epoch
        for rider in asked:
            session = city.sessions.get(rider)
            tasks = answer.tasks.get(rider, Tasks())
            waiter = city.waiters.get(rider)
            if session is None:
                continue
            offers = session.offers.due(tasks.offers, self._clock.monotonic_s())
            route = tasks.route
            if route is not None and not session.offers.changed_route(route, answer.epoch):
                route = None
            if waiter is not None and not waiter.done():
                waiter.set_result(Tasks(tuple(offers), route))
                continue
            self._send(session, offers, tasks.offers)
            if route is not None:
                session.down_queue.route(route)

    def _offered(self, city: _CityQueue, answer: OpenOffers) -> None:
        city.away = False
        if answer.epoch < city.epoch:
            return
        city.epoch = answer.epoch
        mine: dict[RiderId, list[Offer]] = {}
        for rider, offer in answer.offers:
            if rider in city.sessions:
                mine.setdefault(rider, []).append(offer)
        now_s = self._clock.monotonic_s()
        for rider, session in city.sessions.items():
            open_now = mine.get(rider, [])
            if open_now or session.offers.any:
                self._send(session, session.offers.due(open_now, now_s), open_now)

    def _send(self, session: RiderSession, due: Iterable[Offer], open_now: Iterable[Offer]) -> None:
        for offer in due:
            metrics.OFFERS_SENT.inc()
            session.down_queue.offer(offer)
        for retracted in session.offers.gone(open_now, self._clock.domain_ms()):
            session.down_queue.offer(retracted)
