"""Turn events of the log into inputs of the engine, as of a tick."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from dispatch.engine.forwarding import only_for_borrower
from dispatch.engine.inputs import Input, OrderCancelled, OrderOpened, OrderReadyChanged, PickedUp, RiderBorrowed
from dispatch.engine.model import Offer, OrderId, Rider, Stop, StopKind
from dispatch.engine.state import CityState
from proto.fix_columns import FixColumns


def inputs_of(events: Iterable[LogEvent], state: CityState, now_ms: int) -> list[Input]:
    """Inputs of the events that were understood, in order; those without a domain time of their own happen now."""
    inputs: list[Input] = []
    for event in events:
        item = event.input
        if item is None or only_for_borrower(item, state):
            continue
        if isinstance(item, OrderCancelled | OrderReadyChanged | RiderBorrowed):
            item = replace(item, at_ms=now_ms)
        elif isinstance(item, PickedUp):
            item = replace(item, order_ids=_taken_along(item, state))
        inputs.append(item)
    return inputs


def old_orders(inputs: Iterable[Input], state: CityState, before_ms: int) -> list[OrderId]:
    """Orders opened that memory does not know and that were placed so long ago that they may have been forgotten."""
    return [
        item.order_id
        for item in inputs
        if isinstance(item, OrderOpened)
        and item.placed_ms < before_ms
        and item.order_id not in state.orders
        and item.order_id not in state.ended
    ]


def without(inputs: Iterable[Input], known: set[OrderId]) -> list[Input]:
    """The inputs less the openings of orders that are known."""
    return [item for item in inputs if not (isinstance(item, OrderOpened) and item.order_id in known)]


def _taken_along(item: PickedUp, state: CityState) -> tuple[OrderId, ...]:
    """An app says order by order what it picked up; the orders of one pickup stop are handed over together.

    The stop may be one that the rider accepts in this very tick, so its live offer counts too.
    """
    rider = state.riders.get(item.rider_id)
    if rider is None:
        return item.order_ids
    along = {o for stop in _pickups(rider, state) if set(stop.order_ids) & set(item.order_ids) for o in stop.order_ids}
    return tuple(sorted(along | set(item.order_ids)))


def _pickups(rider: Rider, state: CityState) -> list[Stop]:
    offer: Offer | None = state.offers.get(rider.offer_id) if rider.offer_id else None
    stops = (*rider.stops, *(offer.stops if offer is not None else ()))
    return [stop for stop in stops if stop.kind is StopKind.PICKUP]


@dataclass(frozen=True, slots=True)
class LogEvent:
    """A message of city.events. `input` is None when it could not be understood.

    `at_ms` of the input is 0 where the message has no domain time; it happens when the tick takes it.
    `seed` is where a rider that comes online starts, as a fix.
    """

    event_id: str
    offset: int
    input: Input | None
    seed: FixColumns | None = None
