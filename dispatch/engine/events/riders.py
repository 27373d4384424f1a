"""Events about riders: shifts, arrivals, moves to another city."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from dispatch.engine.events.offers import retract
from dispatch.engine.inputs import RiderArrived, RiderMovedIn, RiderMovedOut, RiderOffline, RiderOnline
from dispatch.engine.model import OrderId, Rider, StopKind, Vehicle
from dispatch.engine.notes import Note, NoteKind, duplicate, refused
from dispatch.engine.params import EngineParams
from dispatch.engine.plan import hand_back
from dispatch.engine.state import Draft


def start_shift(item: RiderOnline, draft: Draft, params: EngineParams) -> list[Note]:
    """Start a rider's shift, or change its terms."""
    if item.capacity < 1:
        return refused("bad_capacity", item.at_ms, rider_id=item.rider_id)
    known = draft.rider(item.rider_id)
    terms = {
        "online": True,
        "shift_end_ms": item.shift_end_ms,
        "capacity": item.capacity,
        "vehicle": item.vehicle,
        "zone": item.zone,
        "moved_to": "",
    }
    if known is None:
        draft.put_rider(Rider(rider_id=item.rider_id, rested_ms=item.at_ms, **terms))  # type: ignore[arg-type]
        return []
    if all(getattr(known, name) == value for name, value in terms.items()):
        return duplicate(item.at_ms, rider_id=item.rider_id)
    draft.put_rider(replace(known, **terms))  # type: ignore[arg-type]
    return []


def end_shift(item: RiderOffline, draft: Draft, params: EngineParams) -> list[Note]:
    """End a rider's shift: its offer is retracted, orders not yet picked up wait for another rider."""
    rider = draft.rider(item.rider_id)
    if rider is None:
        return refused("unknown_rider", item.at_ms, rider_id=item.rider_id)
    if not rider.online:
        return duplicate(item.at_ms, rider_id=item.rider_id)
    draft.put_rider(replace(rider, online=False))
    offer = draft.offer(rider.offer_id) if rider.offer_id is not None else None
    if offer is not None:
        retract(offer, draft, item.at_ms)
    return leave_behind(draft, rider, _awaiting(rider), item.at_ms)


def _awaiting(rider: Rider) -> list[OrderId]:
    """Orders the rider has accepted and not yet picked up."""
    return [o for s in rider.stops if s.kind is StopKind.PICKUP for o in s.order_ids]


def leave_behind(draft: Draft, rider: Rider, order_ids: Iterable[OrderId], at_ms: int) -> list[Note]:
    """Take orders out of a rider's plan; they wait for another rider."""
    notes = []
    for order_id in order_ids:
        order = draft.order(order_id)
        if order is not None:
            hand_back(draft, order, at_ms)
            notes.append(Note(NoteKind.UNASSIGNED, at_ms, order_id, rider.rider_id))
    return notes


def arrive_at_counter(item: RiderArrived, draft: Draft, params: EngineParams) -> list[Note]:
    """Note that a rider stands at the counter of its next pickup."""
    rider = draft.rider(item.rider_id)
    if rider is None or rider.heading is None:
        return refused("no_pickup_ahead", item.at_ms, rider_id=item.rider_id)
    if rider.arrived:
        return duplicate(item.at_ms, rider_id=item.rider_id)
    pickup = replace(rider.stops[0], arrive_ms=item.at_ms)
    draft.put_rider(replace(rider, arrived=True, stops=(pickup, *rider.stops[1:])))
    return []


def move_out(item: RiderMovedOut, draft: Draft, params: EngineParams) -> list[Note]:
    """Hand a rider without work over to another city."""
    rider = draft.rider(item.rider_id)
    if rider is None:  # never on shift here; remembered, so that whoever hands it over hears that it is granted
        rider = Rider(item.rider_id, online=False, shift_end_ms=0, capacity=1, vehicle=Vehicle.MOTORBIKE)
    if rider.moved_to == item.to_city:
        return duplicate(item.at_ms, rider_id=item.rider_id)
    if rider.stops or rider.offer_id is not None or rider.lent or rider.borrowed:
        return refused("not_idle", item.at_ms, rider_id=item.rider_id)
    draft.put_rider(replace(rider, online=False, moved_to=item.to_city))
    return []


def move_in(item: RiderMovedIn, draft: Draft, params: EngineParams) -> list[Note]:
    """Take a rider back that had moved to another city."""
    rider = draft.rider(item.rider_id)
    if rider is None or not rider.moved_to:
        return duplicate(item.at_ms, rider_id=item.rider_id)
    draft.put_rider(replace(rider, moved_to=""))
    return []
