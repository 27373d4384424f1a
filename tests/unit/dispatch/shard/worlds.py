"""Small worlds for the live shard: columns of fixes, an order, what a tick commits."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from dispatch.engine.basis import TickBasis
from dispatch.engine.computed_tick import Digests
from dispatch.engine.model import Offer, OfferId, OfferStatus, Order, OrderId, OrderStatus, Point, RestaurantId, RiderId
from dispatch.engine.params import EngineParams
from dispatch.engine.records import Alternative, DecisionRecord
from dispatch.engine.state import Changes
from dispatch.engine.tracks import TrackChanges
from dispatch.logs.cut import AppliedRange, Cut
from dispatch.shard.holdings import HoldingChanges
from dispatch.shard.ports import TickCommit
from node.clock import SystemClock
from proto.fix_columns import FixColumns
from shard_router.leases.slots import Slot, Slots, SlotState
from shard_router.topology import Ownership

#: Beyond what a signed 64-bit number holds.
BIG_RIDER = RiderId((1 << 63) + 7)
DOWNTOWN = Point(-299_027_000, -712_520_000)
NOON_MS = 1_760_000_000_000


def fixes(
    places: Mapping[int, tuple[int, int]], *, session: int = 1, seq: int = 1, ts_ms: int = NOON_MS, flags: int = 0
) -> FixColumns:
    """One fix of each rider, so many 1e-7 degrees north and east of downtown."""
    count = len(places)
    north, east = np.array(list(places.values()), np.int64).reshape(-1, 2).T
    return FixColumns(
        rider_id=np.array(list(places), np.uint64),
        session=np.full(count, session, np.uint64),
        seq=np.full(count, seq, np.uint64),
        ts_ms=np.full(count, ts_ms, np.int64),
        lat_e7=(DOWNTOWN.lat_e7 + north).astype(np.int32),
        lng_e7=(DOWNTOWN.lng_e7 + east).astype(np.int32),
        accuracy_dm=np.full(count, 50, np.uint16),
        heading_cdeg=np.full(count, 9000, np.uint16),
        speed_cms=np.full(count, 500, np.uint16),
        flags=np.full(count, flags, np.uint8),
    )


def order(
    order_id: str,
    status: OrderStatus = OrderStatus.OPEN,
    rider_id: int | None = None,
    *,
    ended_ms: int | None = None,
) -> Order:
    """An order downtown, ready at noon."""
    return Order(
        order_id=OrderId(order_id),
        restaurant_id=RestaurantId("trattoria"),
        pickup=DOWNTOWN,
        drop=Point(DOWNTOWN.lat_e7 + 100_000, DOWNTOWN.lng_e7),
        placed_ms=NOON_MS,
        ready_ms=NOON_MS,
        promised_ms=NOON_MS + 1_800_000,
        status=status,
        rider_id=None if rider_id is None else RiderId(rider_id),
        ended_ms=ended_ms,
    )


def offer(offer_id: str, rider_id: int, *order_ids: str, status: OfferStatus = OfferStatus.LIVE) -> Offer:
    """An offer made at noon."""
    ids = tuple(OrderId(order_id) for order_id in order_ids)
    return Offer(
        OfferId(offer_id),
        RiderId(rider_id),
        ids,
        NOON_MS,
        NOON_MS + 30_000,
        RestaurantId("trattoria"),
        (),
        status=status,
    )


def record(offer_id: str, rider_id: int, order_id: str) -> DecisionRecord:
    """Why a rider was asked: 100 for the delay, 20 for the way; rider 99 would have cost 150."""
    return DecisionRecord(
        OfferId(offer_id),
        RiderId(rider_id),
        (OrderId(order_id),),
        120.0,
        (("delay", 100.0), ("approach", 20.0)),
        2,
        ((OrderId(order_id), (Alternative(RiderId(99), 150.0, ()),)),),
    )


def ownership(city: str, epoch: int = 1, partition: int = 0) -> Ownership:
    """A city of a shard."""
    return Ownership(city, partition, epoch)


def holding(*owned: Ownership) -> Slots:
    """Slots of a shard that holds cities by a lease that does not end."""
    slots = Slots(SystemClock(), lease_until_s=math.inf)
    for own in owned:
        slots.of[own.city] = Slot(own.city, SlotState.TAKING, ownership=own)
    return slots


def tick_of(
    own: Ownership,
    number: int,
    *,
    orders: tuple[Order, ...] = (),
    offers: tuple[Offer, ...] = (),
    holdings: HoldingChanges | None = None,
    tracks: TrackChanges | None = None,
    records: tuple[DecisionRecord, ...] = (),
    events_offset: int = 0,
) -> TickCommit:
    """A tick that changes these things and nothing else."""
    return TickCommit(
        ownership=own,
        tick=number,
        basis=TickBasis(NOON_MS, 10 * number, events_offset, "test"),
        applied=AppliedRange(Cut("log", own.partition, 0, 0), Cut("log", own.partition, 10 * number, events_offset)),
        params=EngineParams(),
        strategy="assignment",
        solver_status="optimal",
        solver_work=1,
        solver_cost=1.0,
        digests=Digests("p", "s", "d", "t"),
        quiet=(),
        ignored=(),
        passed_over=(),
        checkpoint=None,
        duration_ms=1.0,
        changes=Changes(orders, (), offers, ()),
        holdings=holdings or HoldingChanges(),
        records=records,
        tracks=tracks or TrackChanges(),
    )
