"""Values that only a newer release of a service knows end no socket and fail no answer."""

from __future__ import annotations

import pytest

from gateway.api import translate
from gateway.live.adapters import city_frame, decode
from gateway.live.adapters.kitchens import _ticket
from gateway.live.watch import OrderWatch
from proto.dispatch.v1 import dispatch_pb2
from proto.orders.v1 import kitchen_pb2, orders_pb2
from proto.tracking.v1 import rider_link_pb2

#: No enum has it.
NEW = 97


def order(*history: int) -> orders_pb2.Order:
    """An order that went through these statuses."""
    found = orders_pb2.Order(order_id="o-1", status=history[-1])  # type: ignore[arg-type]
    for at_ms, status in enumerate(history):
        found.history.add(status=status, at_ms=at_ms)
    found.basket.restaurant.restaurant_id = found.basket.restaurant.name = "r-1"
    found.basket.items.add(sku="p-1", name="pizza", quantity=1)
    return found


@pytest.mark.parametrize(
    ("history", "status", "words"),
    [
        ((1, 2, 3), "accepted", ["placed", "authorised", "accepted"]),
        ((1, 2, 3, NEW), "accepted", ["placed", "authorised", "accepted"]),
        ((1, NEW, 3), "accepted", ["placed", "accepted"]),
        ((NEW,), "placed", []),
        ((0,), "placed", []),
    ],
)
def test_a_customer_is_told_the_last_status_that_is_known(
    history: tuple[int, ...], status: str, words: list[str]
) -> None:
    """By the API and by the socket alike."""
    facts = decode.order_facts(order(*history))
    assert facts.status == status
    assert [event.status for event in facts.history] == words
    answer = translate.order(order(*history))
    assert answer.status == status
    assert [change.status for change in answer.history] == words
    answer.model_validate_json(answer.model_dump_json())
    assert OrderWatch(facts, {}).snapshot()


def test_a_track_goes_on() -> None:
    """A state or a kind of stop that is new: the order is shown as accepted, the stop as a place on the way."""
    message = dispatch_pb2.TrackResponse(state=NEW, epoch=3)  # type: ignore[arg-type]
    message.events.add(seq=1, state=NEW, at_ms=5)
    message.stops.add(kind=NEW, order_ids=["o-1"])
    track = decode.track(message)
    watch = OrderWatch(decode.order_facts(order(1, 2, 3)), {})
    watch.on_track(track)
    assert (watch.status, [stop.kind for stop in track.stops]) == ("accepted", ["dropoff"])


def test_the_map_goes_on() -> None:
    """An order in a state that is new."""
    message = dispatch_pb2.WatchCityResponse(city="roma")
    message.orders.add(order_id="o-1", state=NEW)
    assert b'"unspecified"' in city_frame.encoded(message).frame


def test_a_kitchens_board_goes_on() -> None:
    """A ticket in a status that is new is told as such; the board has no column for it."""
    ticket = _ticket(kitchen_pb2.Ticket(order_id="o-1", status=NEW))  # type: ignore[arg-type]
    assert ticket.body["status"] == "unspecified"


def test_numbers_stay_what_they_are() -> None:
    """The number of this test is none of theirs."""
    for enum in (orders_pb2.OrderStatus, dispatch_pb2.OrderState, rider_link_pb2.StopKind):
        assert NEW not in enum.values()
