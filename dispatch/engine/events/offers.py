"""Events about offers: answered, expired, retracted."""

from __future__ import annotations

from dataclasses import replace

from dispatch.engine.inputs import OfferReplied
from dispatch.engine.model import Cooldown, Offer, OfferStatus, Order, RiderId
from dispatch.engine.notes import Note, NoteKind, refused
from dispatch.engine.params import EngineParams
from dispatch.engine.plan import reopen, sweep, take_on
from dispatch.engine.state import Draft

#: Answers of a rider that are remembered; beyond that all are halved.
ANSWERS_KEPT = 40


def reply_to_offer(item: OfferReplied, draft: Draft, params: EngineParams) -> list[Note]:
    """Turn an accepted offer into the plan of its rider; reopen the orders of a declined one."""
    offer = draft.offer(item.offer_id)
    if offer is None or offer.rider_id != item.rider_id:
        return refused("offer_not_live", item.at_ms, rider_id=item.rider_id)
    orders = _orders_of(offer, draft)
    if not item.accepted:
        draft.end_offer(offer, OfferStatus.DECLINED, item.at_ms)
        _count_answer(draft, offer.rider_id, refused=True)
        _cool_down(draft, offer.rider_id, orders, item.at_ms, params)
        reopen(draft, orders)
        sweep(draft, offer.rider_id, item.at_ms)
        return []
    rider = draft.rider(offer.rider_id)
    if rider is None or not take_on(draft, rider, offer, orders):
        draft.end_offer(offer, OfferStatus.RETRACTED, item.at_ms)
        reopen(draft, orders)
        return refused("plan_moved_on", item.at_ms, rider_id=item.rider_id)
    draft.end_offer(offer, OfferStatus.ACCEPTED, item.at_ms)
    _count_answer(draft, offer.rider_id, refused=False)
    return [Note(NoteKind.ASSIGNED, item.at_ms, o.order_id, offer.rider_id) for o in orders]


def expire_offers(draft: Draft, now_ms: int, params: EngineParams) -> list[Note]:
    """End offers that nobody answered in time."""
    notes = []
    for offer in draft.offers():
        if offer.expires_ms <= now_ms:
            orders = _orders_of(offer, draft)
            draft.end_offer(offer, OfferStatus.EXPIRED, now_ms)
            _count_answer(draft, offer.rider_id, refused=True)
            _cool_down(draft, offer.rider_id, orders, now_ms, params)
            reopen(draft, orders)
            sweep(draft, offer.rider_id, now_ms)
            notes.append(Note(NoteKind.EXPIRED, now_ms, rider_id=offer.rider_id))
    return notes


def retract_offer_of(order: Order, draft: Draft, at_ms: int) -> None:
    """Retract the offer that an order is in."""
    for offer in draft.offers():
        if order.order_id in offer.order_ids:
            retract(offer, draft, at_ms)


def retract(offer: Offer, draft: Draft, at_ms: int) -> None:
    """End an offer before its rider answered; its orders wait for a rider again."""
    orders = _orders_of(offer, draft)
    draft.end_offer(offer, OfferStatus.RETRACTED, at_ms)
    reopen(draft, orders)
    sweep(draft, offer.rider_id, at_ms)


def _orders_of(offer: Offer, draft: Draft) -> list[Order]:
    return [o for o in map(draft.order, offer.order_ids) if o is not None]


def _count_answer(draft: Draft, rider_id: RiderId, *, refused: bool) -> None:
    """Remember how the rider answers; what it did long ago counts ever less."""
    rider = draft.rider(rider_id)
    if rider is not None:
        answered, refusals = rider.offers_answered + 1, rider.offers_refused + refused
        if answered > ANSWERS_KEPT:
            answered, refusals = answered // 2, refusals // 2
        draft.put_rider(replace(rider, offers_answered=answered, offers_refused=refusals))


def _cool_down(draft: Draft, rider_id: RiderId, orders: list[Order], at_ms: int, params: EngineParams) -> None:
    until_ms = at_ms + round(params.offers.cooldown_s * 1000)
    for order in orders:
        draft.put_cooldown(Cooldown(rider_id, order.order_id, until_ms))
