"""Close what times out: orders of riders who vanished, orders that nobody brings."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from dispatch.engine.inputs import Positions
from dispatch.engine.model import OfferStatus, Order, OrderStatus, Rider, RiderId
from dispatch.engine.notes import Note, NoteKind
from dispatch.engine.params import EngineParams
from dispatch.engine.plan import hand_back, reopen, sweep
from dispatch.engine.state import Draft

#: Reasons of `NoteKind.FAILED` and `NoteKind.UNASSIGNED`.
NOBODY, VANISHED = "nobody took it", "its rider vanished"


def close_expired(draft: Draft, positions: Positions, now_ms: int, params: EngineParams) -> list[Note]:
    """Take orders from riders out of sight, and end orders that stayed open for too long.

    A rider with a plan and no usable fix loses what it has not picked up after `PatienceParams.vanished_s`, and what
    is on board after `lost_s`; an order that nobody has ends after `nobody_s`. A rider who is seen again works on.
    """
    notes = []
    for rider in _watched(draft, positions, now_ms):
        assert rider.unseen_ms is not None
        unseen_s = (now_ms - rider.unseen_ms) / 1000
        if unseen_s >= params.patience.vanished_s:
            notes += _take_back(draft, rider, now_ms)
        if unseen_s >= params.patience.lost_s:
            notes += _write_off(draft, rider.rider_id, now_ms)
    for order in draft.orders():
        waited_s = (now_ms - max(order.ready_ms, order.placed_ms)) / 1000
        if order.matchable and waited_s >= params.patience.nobody_s:
            notes.append(_fail(draft, order, now_ms, NOBODY))
    return notes


def _watched(draft: Draft, positions: Positions, now_ms: int) -> list[Rider]:
    """Riders with something to do who are out of sight; whoever is seen again is no longer."""
    busy = [rider for rider in draft.riders() if rider.stops or rider.offer_id or rider.unseen_ms is not None]
    seen = np.isin(np.array([rider.rider_id for rider in busy], np.uint64), positions.rider_ids)
    lost = []
    for rider, visible in zip(busy, seen.tolist(), strict=True):
        if visible or not (rider.stops or rider.offer_id):
            since_ms = None
        else:
            since_ms = now_ms if rider.unseen_ms is None else rider.unseen_ms
        if since_ms != rider.unseen_ms:
            rider = replace(rider, unseen_ms=since_ms)
            draft.put_rider(rider)
        if since_ms is not None:
            lost.append(rider)
    return lost


def _take_back(draft: Draft, rider: Rider, now_ms: int) -> list[Note]:
    offer = draft.offer(rider.offer_id) if rider.offer_id is not None else None
    if offer is not None:
        orders = [order for order in map(draft.order, offer.order_ids) if order is not None]
        draft.end_offer(offer, OfferStatus.RETRACTED, now_ms)
        reopen(draft, orders)
        sweep(draft, rider.rider_id, now_ms)
    notes = []
    for order in map(draft.order, rider.order_ids):
        if order is not None and order.status is OrderStatus.ASSIGNED:
            hand_back(draft, order, now_ms)
            notes.append(Note(NoteKind.UNASSIGNED, now_ms, order.order_id, rider.rider_id, VANISHED))
    return notes


def _write_off(draft: Draft, rider_id: RiderId, now_ms: int) -> list[Note]:
    """The food on board is gone."""
    rider = draft.rider(rider_id)
    assert rider is not None
    orders = [order for order in map(draft.order, rider.order_ids) if order is not None]
    draft.put_rider(replace(rider, stops=(), load=0, arrived=False, unseen_ms=None, rested_ms=now_ms))
    return [_fail(draft, order, now_ms, VANISHED) for order in orders]


def _fail(draft: Draft, order: Order, now_ms: int, reason: str) -> Note:
    draft.put_order(replace(order, status=OrderStatus.FAILED, ended_ms=now_ms))
    return Note(NoteKind.FAILED, now_ms, order.order_id, order.rider_id, reason)
