"""Kitchens: what they see, what they may say, how long they take, and what becomes of an order they never answer."""

from __future__ import annotations

import math
from collections.abc import Coroutine
from dataclasses import replace
from datetime import datetime
from types import SimpleNamespace

import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st

from node.clock import ManualClock
from node.errors import FornoError, Invalid, Retryable
from orders.call_limit import CallLimit
from orders.errors import UnknownOrder
from orders.kitchen.adapters.memory import MemoryKitchens
from orders.kitchen.answer_timeout import AnswerTimeout
from orders.kitchen.answers import Accept, Answer, Ready, ReadyIn, Reject, apply_answer
from orders.kitchen.grpc_api import KitchensApi
from orders.kitchen.known_kitchens import FRESH_S, STALE_S, KnownKitchens
from orders.kitchen.model import CookedOrder, Kitchen
from orders.kitchen.pace import EDGES, PRIOR_P90, PaceSample, pace_of
from orders.kitchen.service import KitchenService
from orders.messaging.message import Offset
from orders.metrics import TURNED_AWAY
from orders.model import KitchenTerms, Order, Status
from orders.ordering.adapters.cities import MappedCities
from orders.ordering.adapters.codec import encode
from orders.ordering.adapters.memory import MemoryOrders
from orders.ordering.errors import TransitionRefused
from orders.ordering.event_inbox import Source
from orders.ordering.events import ReadyChanged
from orders.ordering.ports import IdempotencyKey
from orders.ordering.saga import Signal, step
from orders.ordering.transitions import Trigger
from proto.dispatch.v1.city_event_pb2 import CityEvent
from proto.orders.v1 import kitchen_pb2 as pb
from tests.unit.orders.kitchens import known_kitchens, utc_hour
from tests.unit.orders.worlds import NOW_MS, TWO_PIZZAS, heard, one_database, order_id, placed

FORNO = Kitchen("la-serena", "r-1")
ASKED = KitchenTerms(auto_accept=False)


def asked_order(*triggers: Trigger) -> Order:
    """An order whose kitchen is asked, after some triggers; the first is the authorisation."""
    order = replace(placed().order, kitchen=ASKED)
    for trigger in (Trigger.AUTHORISE, *triggers):
        order = step(order, Signal(trigger, NOW_MS)).order
    return order


ANSWERS = [
    ("it takes what waits", (), Accept(), Status.ACCEPTED),
    ("it rejects what waits", (), Reject("no dough"), Status.CANCELLED),
    ("it gives up what it took", (Trigger.ACCEPT,), Reject(), Status.CANCELLED),
    ("it gives up what a rider comes for", (Trigger.ACCEPT, Trigger.ASSIGN), Reject(), Status.CANCELLED),
    ("ready moves no status", (Trigger.ACCEPT,), Ready(), Status.ACCEPTED),
    ("later moves no status", (Trigger.ACCEPT, Trigger.ASSIGN), ReadyIn(300), Status.ASSIGNED),
]


@pytest.mark.parametrize(("before", "answer", "after"), [row[1:] for row in ANSWERS], ids=[row[0] for row in ANSWERS])
def test_an_answer_counts_once(before: tuple[Trigger, ...], answer: Answer, after: Status) -> None:
    """Said again it changes nothing and tells nobody."""
    change = apply_answer(asked_order(*before), answer, NOW_MS + 1000)
    assert change.order.status is after
    assert change.events
    again = apply_answer(change.order, answer, NOW_MS + 1000)
    assert (again.order, again.events) == (change.order, ())


REFUSED = [
    ("ready before it was taken", (), Ready()),
    ("taken after it was cancelled", (Trigger.CANCEL,), Accept()),
    ("rejected when the rider has it", (Trigger.ACCEPT, Trigger.ASSIGN, Trigger.PICK_UP), Reject()),
    ("later when it has left", (Trigger.ACCEPT, Trigger.ASSIGN, Trigger.PICK_UP), ReadyIn(60)),
]


@pytest.mark.parametrize(("before", "answer"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_what_the_state_does_not_allow_is_refused(before: tuple[Trigger, ...], answer: Answer) -> None:
    """With the state and the reason."""
    with pytest.raises(TransitionRefused):
        apply_answer(asked_order(*before), answer, NOW_MS)


def test_a_ready_time_is_told_to_dispatch_each_time_it_changes() -> None:
    """Later, then ready: two events with ids of their own; once ready it is not later any more."""
    order = asked_order(Trigger.ACCEPT)
    later = apply_answer(order, ReadyIn(600), NOW_MS)
    ready = apply_answer(later.order, Ready(), NOW_MS + 5000)
    messages = [encode(event, NOW_MS) for change in (later, ready) for event in change.events]
    events = [CityEvent.FromString(message.payload) for message in messages]
    assert [event.order_ready.ready_ms for event in events] == [NOW_MS + 600_000, NOW_MS + 5000]
    assert len({message.event_id for message in messages}) == 2
    assert all(isinstance(event, ReadyChanged) for event in (*later.events, *ready.events))
    assert ready.order.cooked_ms == NOW_MS + 5000
    with pytest.raises(TransitionRefused):
        apply_answer(ready.order, ReadyIn(60), NOW_MS)


def test_a_pace_is_the_restaurants_word_until_it_has_a_history() -> None:
    """No sample: what it says, and the usual spread. One order forgotten for a day moves hardly anything."""
    nothing = pace_of([], 12)
    assert (nothing.median, nothing.p90) == pytest.approx((1.0, PRIOR_P90))
    one = pace_of([PaceSample(12, 600, 86_400)], 12)
    assert one.median < EDGES[1] ** (1 / 5)
    steady = [PaceSample(12, 600, 1200)] * 200
    with_a_slip = pace_of([*steady, PaceSample(12, 600, 86_400)], 12)
    assert with_a_slip.median == pytest.approx(2, rel=0.1)
    assert with_a_slip.p90 == pytest.approx(2, rel=0.1)


def test_an_hour_of_its_own_is_learned() -> None:
    """The kitchen that is twice as slow at eight in the evening is so then, and as it says at noon."""
    cooked = [PaceSample(12, 600, 600)] * 150 + [PaceSample(20, 600, 1200)] * 50
    evening, noon = pace_of(cooked, 20), pace_of(cooked, 12)
    assert evening.median == pytest.approx(2, rel=0.15)
    assert noon.median == pytest.approx(1, rel=0.05)
    assert (evening.samples_hour, evening.samples) == (50, 200)


SAMPLES = st.lists(
    st.builds(PaceSample, st.integers(0, 23), st.floats(-10, 10_000), st.floats(-10, 1_000_000)), max_size=60
)


@settings(deadline=None)
@given(cooked=SAMPLES, hour=st.integers(0, 23))
def test_a_pace_is_always_sane(cooked: list[PaceSample], hour: int) -> None:
    """Whatever was recorded: finite, within the edges, the 90th percentile not below the median."""
    pace = pace_of(cooked, hour)
    assert EDGES[0] <= pace.median <= pace.p90 <= EDGES[1]
    assert math.isfinite(pace.p90)


class World:
    """A kitchen that is asked, its service, and one order that waits for it."""

    def __init__(self) -> None:
        self.clock = ManualClock(NOW_MS)
        self.orders = MemoryOrders(self.clock)
        self.kitchens = MemoryKitchens(self.orders)
        self.known = KnownKitchens(
            self.kitchens, frozenset({"la-serena"}), utc_hour, self.clock, structlog.get_logger()
        )
        self.service = KitchenService(
            one_database(self.orders), self.kitchens, self.known, self.clock, lambda city: None
        )

    async def place(self, number: int = 1) -> Order:
        """An order that is paid for."""
        change = placed(number)
        terms = await self.known.terms(TWO_PIZZAS)
        change = replace(change, order=replace(change.order, kitchen=terms))
        await self.orders.place(change, IdempotencyKey(f"key-{number}", b""))
        paid = heard(Source.PAYMENTS, 1, Signal(Trigger.AUTHORISE, NOW_MS), order_id(number))
        await self.orders.receive([paid], [Offset("payment.events", 0, 1)])
        order = await self.orders.get(order_id(number))
        assert order is not None
        return order


async def test_an_order_waits_for_its_kitchen_and_goes_on_when_it_answers() -> None:
    """Nothing is opened at dispatch before; the kitchen's own time counts."""
    world = World()
    order = await world.place()
    assert order.status is Status.AUTHORISED
    board = await world.service.board(FORNO)
    assert ([ticket.order_id for ticket in board.tickets], board.auto_accept) == ([order.order_id], False)
    taken, changed = await world.service.answer(FORNO, order.order_id, Accept(900))
    assert (taken.status, taken.ready_ms, changed) == (Status.ACCEPTED, NOW_MS + 900_000, True)
    assert await world.service.answer(FORNO, order.order_id, Accept(60)) == (taken, False)
    assert [message.topic for message in world.orders.outbox.unsent][-1] == "city.events"


async def test_a_kitchen_that_turns_itself_to_automatic_is_not_asked_again() -> None:
    """What it chose counts for the next order."""
    world = World()
    await world.place()
    await world.service.configure(FORNO, auto_accept=True)
    assert (await world.place(2)).status is Status.ACCEPTED
    assert (await world.service.board(FORNO)).auto_accept


async def test_another_restaurant_finds_nothing() -> None:
    """Neither on the board nor by the order's id; bad input names the field."""
    world = World()
    order = await world.place()
    other = Kitchen("la-serena", "r-2")
    assert (await world.service.board(other)).tickets == []
    with pytest.raises(UnknownOrder):
        await world.service.answer(other, order.order_id, Accept())
    for answer, field in ((Accept(-1), "accept.preparation_s"), (ReadyIn(10**6), "ready_in.seconds")):
        with pytest.raises(Invalid) as refusal:
            await world.service.answer(FORNO, order.order_id, answer)
        assert refusal.value.field == field
    for restaurant_id in ("", "r" * 65, "4242424242424242"):
        with pytest.raises(Invalid):
            await world.service.configure(Kitchen("la-serena", restaurant_id), auto_accept=True)
    assert not world.kitchens.chosen


async def test_a_kitchen_that_never_answers_is_answered_for() -> None:
    """After its patience the order is cancelled and payments are told; an order that was answered is left alone."""
    world = World()
    silent, answered_one = await world.place(1), await world.place(2)
    await world.service.answer(FORNO, answered_one.order_id, Accept())
    timeout = AnswerTimeout(world.orders, world.orders, 300, world.clock, structlog.get_logger())
    world.clock.advance(299_000)
    await timeout.reject_unanswered()
    assert (await world.orders.get(silent.order_id)) == silent
    world.clock.advance(2000)
    await timeout.reject_unanswered()
    order = await world.orders.get(silent.order_id)
    assert order is not None
    assert (order.status, order.history[-1].reason) == (Status.CANCELLED, "kitchen_timeout")
    kept = await world.orders.get(answered_one.order_id)
    assert kept is not None
    assert kept.status is Status.ACCEPTED


async def test_what_a_kitchen_called_ready_changes_what_the_next_order_is_told() -> None:
    """Forty orders that took twice what was said: the next one is reckoned to take nearly that."""
    world = World()
    await world.service.configure(FORNO, auto_accept=True)
    for number in range(40):
        await world.place(number)
    world.clock.advance(1_200_000)
    for number in range(40):
        await world.service.answer(FORNO, order_id(number), Ready())
    world.clock.advance(int(1000 * FRESH_S) + 1)
    world.known.forget(FORNO)
    terms = await world.known.terms(TWO_PIZZAS)
    assert 1000 < terms.preparation_s <= 1200
    board = await world.service.board(FORNO)
    assert board.pace.samples == 40


async def test_placing_goes_on_when_kitchens_cannot_be_looked_up() -> None:
    """The city's rule and the restaurant's word count then, and the next order asks again."""

    class Away(MemoryKitchens):
        async def cooked(self, kitchen: Kitchen, limit: int) -> list[CookedOrder]:
            raise Retryable("the database is away")

    clock = ManualClock(NOW_MS)
    known = known_kitchens(MemoryOrders(clock), clock)
    known._store = Away(MemoryOrders(clock))
    assert await known.terms(TWO_PIZZAS) == KitchenTerms(auto_accept=True, preparation_s=0)


async def test_a_choice_that_another_process_wrote_down_counts_after_two_minutes_at_most() -> None:
    """However long nobody ordered: what is older than that is not used before it was looked up."""
    world = World()
    assert not (await world.known.terms(TWO_PIZZAS)).auto_accept
    world.kitchens.chosen[FORNO] = True
    world.clock.advance(int(1000 * STALE_S) + 1)
    assert (await world.known.terms(TWO_PIZZAS)).auto_accept


async def test_an_old_choice_counts_while_its_database_is_away() -> None:
    """Hours later, and whatever the city's rule is: better than to ask a kitchen that wants no questions."""

    class Away(MemoryKitchens):
        async def auto_accept(self, kitchen: Kitchen) -> bool | None:
            raise Retryable("the database is away")

    world = World()
    world.kitchens.chosen[FORNO] = True
    assert (await world.known.terms(TWO_PIZZAS)).auto_accept
    world.known._store = Away(world.orders)
    world.clock.advance(7_200_000)
    assert (await world.known.terms(TWO_PIZZAS)).auto_accept


ZONES = [
    # Chile sets its clocks back on 5 April 2026 at 24:00 of the day before: 23:30 happens twice.
    ("the first half past eleven", "2026-04-05T02:30:00+00:00", 23),
    ("the second half past eleven", "2026-04-05T03:30:00+00:00", 23),
    ("midnight after it", "2026-04-05T04:00:00+00:00", 0),
    # And forward on 6 September: 00:30 does not happen.
    ("before the hour that is left out", "2026-09-06T03:59:59+00:00", 23),
    ("after it", "2026-09-06T04:00:00+00:00", 1),
]


@pytest.mark.parametrize(("at", "hour"), [row[1:] for row in ZONES], ids=[row[0] for row in ZONES])
def test_the_hour_is_the_citys_when_its_clock_is_set_back_or_forward(at: str, hour: int) -> None:
    """What is learned by the hour of the day follows the clock on the kitchen's wall."""

    class Map:
        def entry(self, name: str) -> SimpleNamespace:
            return SimpleNamespace(time_zone="America/Santiago")

    cities = MappedCities(Map())  # type: ignore[arg-type]
    assert cities.hour("la-serena", int(datetime.fromisoformat(at).timestamp() * 1000)) == hour


async def test_a_call_too_many_of_kitchens_is_turned_away_at_once() -> None:
    """Boards that are asked for faster than the databases answer do not queue."""
    world = World()
    api = KitchensApi(world.service, world.clock, limit=CallLimit(TURNED_AWAY, 1))
    calls: list[Coroutine[None, None, object]] = [
        api.Board(pb.BoardRequest(city="la-serena", restaurant_id="r-1"), None),
        api.Answer(pb.AnswerRequest(city="la-serena", restaurant_id="r-1", order_id=order_id()), None),
        api.Configure(pb.ConfigureRequest(city="la-serena", restaurant_id="r-1"), None),
    ]
    async with api.limit.admitted():
        for call in calls:
            with pytest.raises(Retryable) as error:
                await call
            assert error.value.reason == "OVERLOADED"
    await api.Board(pb.BoardRequest(city="la-serena", restaurant_id="r-1"), None)


REQUESTS = st.builds(
    pb.AnswerRequest,
    city=st.sampled_from(["la-serena", "", "atlantis"]),
    restaurant_id=st.text(max_size=70),
    order_id=st.sampled_from([order_id(), order_id(2), order_id().upper()]) | st.text(max_size=40),
    accept=st.builds(pb.Accept, preparation_s=st.integers(-(2**31), 2**31 - 1)) | st.none(),
)


@settings(deadline=None, max_examples=60)
@given(request=REQUESTS, reject=st.text(max_size=300) | st.none())
async def test_bad_input_of_a_kitchen_is_a_typed_error_and_leaves_nothing(
    request: pb.AnswerRequest, reject: str | None
) -> None:
    """Whatever is sent: an error with a reason, or an answer; after an error no order changed and nothing is told."""
    world = World()
    await world.place()
    world.service = replace(world.service, check_city=served)
    api = KitchensApi(world.service, world.clock)
    if reject is not None:
        request.reject.reason = reject
    before = (world.orders.all(), list(world.orders.outbox.unsent))
    reason = ""
    try:
        await api.Answer(request, None)
    except FornoError as error:
        reason = error.reason
    if reason:
        assert reason.isupper()
        assert (world.orders.all(), world.orders.outbox.unsent) == before
    else:
        assert (request.city, request.restaurant_id) == ("la-serena", "r-1")


def served(city: str) -> None:
    """One city is."""
    if city != "la-serena":
        raise Invalid("city", "no such city", reason="UNKNOWN_CITY")
