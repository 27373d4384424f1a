"""Translate between a rider's mind and what the rider's app says and hears."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from simulator.city import actions as act
from simulator.city.model import Offer, OfferId, OrderId, Place, Route, Stop, StopKind
from simulator.city.rider import Profile, Rider
from tracking.client import values as app
from tracking.client.send_buffer import FixRow, Reply, Status
from tracking.statuses import RiderStatus, Vehicle

_VEHICLES = {"bicycle": Vehicle.BICYCLE, "scooter": Vehicle.SCOOTER, "car": Vehicle.CAR}


def mind_hears(mind: Rider, event: app.Event, now_ms: int) -> list[act.Action]:
    """Actions of a rider on something the app shows."""
    match event:
        case app.Offer():
            return mind.hear_offer(Offer(OfferId(event.offer_id), _stops(event.stops), event.expires_ms), now_ms)
        case app.OfferRetracted():
            return mind.hear_retracted(OfferId(event.offer_id), now_ms)
        case app.Route():
            return mind.hear_route(Route(event.version, _stops(event.stops)), now_ms)
        case _:
            return []


def fix_row(fix: act.Fix) -> FixRow:
    """A fix in the order of the SDK's columns."""
    heading_cdeg = round(fix.heading_deg * 100) % 36_000
    place = fix.place
    return fix.at_ms, place.lat_e7, place.lng_e7, round(fix.accuracy_m * 10), heading_cdeg, round(fix.speed_mps * 100)


def messages_of(action: act.Action, profile: Profile) -> Iterator[Reply | Status]:
    """Messages of the app about an action that is not a fix; none for what the SDK does by itself."""
    match action:
        case act.Online():
            yield Status(
                RiderStatus.ONLINE,
                action.at_ms,
                shift_end_ms=action.shift_end_ms,
                capacity=profile.capacity,
                vehicle=_VEHICLES[profile.vehicle],
                at=(action.place.lat_e7, action.place.lng_e7),
            )
        case act.Offline():
            yield Status(RiderStatus.OFFLINE, action.at_ms)
        case act.Answered():
            yield Reply(action.offer_id, action.accepted, action.at_ms)
        case act.Arrived():
            yield Status(RiderStatus.ARRIVED, action.at_ms, action.order_ids[0])
        case act.PickedUp():
            for order_id in action.order_ids:
                yield Status(RiderStatus.PICKED_UP, action.at_ms, order_id)
        case act.Delivered():
            yield Status(RiderStatus.DELIVERED, action.at_ms, action.order_id)
        case _:
            pass


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
