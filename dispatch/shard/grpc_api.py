"""The Dispatch service: finds the city, reads its committed state, translates."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any, Protocol

import grpc.aio
import numpy as np
from numpy.typing import NDArray

from dispatch.engine import tracks
from dispatch.engine.eta.open_order import open_eta
from dispatch.engine.model import Offer, Order, OrderId, OrderStatus, Rider, RiderId, Stop
from dispatch.engine.params import EngineParams
from dispatch.engine.ports import TravelTimes
from dispatch.logs.wire import lat_lng, point
from dispatch.shard import queries
from dispatch.shard.errors import UnknownOrder
from dispatch.shard.live_city import LiveCity
from dispatch.shard.ports import DecisionLog
from dispatch.shard.shard import Shard
from dispatch.shard.wire import offer_message, stop_message
from node.clock import Clock
from node.errors import Invalid
from node.geodesy import MAX_LAT_E7, MAX_LNG_E7
from proto.columns import WATCH_CITY, pack
from proto.common.v1.types_pb2 import LatLng
from proto.dispatch.v1 import dispatch_pb2 as pb
from proto.dispatch.v1 import dispatch_pb2_grpc
from proto.tracking.v1 import rider_link_pb2

SERVICE = "dispatch.v1.Dispatch"

_STATES = {
    OrderStatus.OPEN: pb.ORDER_STATE_OPEN,
    OrderStatus.OFFERED: pb.ORDER_STATE_OFFERED,
    OrderStatus.ASSIGNED: pb.ORDER_STATE_ASSIGNED,
    OrderStatus.PICKED_UP: pb.ORDER_STATE_PICKED_UP,
    OrderStatus.DELIVERED: pb.ORDER_STATE_DELIVERED,
    OrderStatus.CANCELLED: pb.ORDER_STATE_CANCELLED,
    OrderStatus.FAILED: pb.ORDER_STATE_FAILED,
}
_ACTIVITIES = {one: pb.RiderActivity.Value(f"RIDER_ACTIVITY_{one.name}") for one in queries.Activity}
#: Ended orders stay on the ops map this long, domain milliseconds.
_SHOWN_AFTER_END_MS = 60_000

Context = grpc.aio.ServicerContext[Any, Any]


class LentTasks(Protocol):
    """Tasks of riders on loan, as the owners of their borrowers tell them."""

    async def tasks(self, city: LiveCity, rider_ids: Iterable[int] | None = None) -> dict[int, pb.RiderTasks]:
        """By rider id, of the city's lent riders among `rider_ids`; of all lent ones without."""


class DispatchApi(dispatch_pb2_grpc.DispatchServicer):
    """Every call answers NOT_OWNER for a city that this shard may not speak for just now."""

    def __init__(
        self,
        shard: Shard,
        decision_log: DecisionLog,
        travel_of: Callable[[str], TravelTimes],
        params: EngineParams,
        clock: Clock,
        lent: LentTasks,
    ) -> None:
        self._lent = lent
        self._shard = shard
        self._decision_log = decision_log
        self._travel_of = travel_of
        self._params = params
        self._clock = clock

    async def Track(self, request: pb.TrackRequest, context: Context) -> pb.TrackResponse:  # noqa: N802
        city = await self._shard.soon(request.city)
        order, track = await self._order(city, OrderId(request.order_id))
        answer = pb.TrackResponse(state=_STATES[order.status], epoch=city.epoch)
        for event in track.events:
            if event.seq > request.after_seq:
                answer.events.add(seq=event.seq, state=_STATES[event.state], at_ms=event.at_ms)
        if order.status in queries.HELD and order.rider_id is not None:
            _add_rider(answer, city, order.order_id, order.rider_id)
        eta = city.committed.memory.etas.get(order.order_id)
        if eta is not None and not order.ended:
            answer.eta_ms, answer.eta_p90_ms = eta.median_ms, eta.p90_ms
        return answer

    async def OpenOffers(self, request: pb.OpenOffersRequest, context: Context) -> pb.OpenOffersResponse:  # noqa: N802
        city = await self._shard.soon(request.city)
        offers = [pb.RiderOffer(rider_id=o.rider_id, offer=_offer(city, o)) for o in city.state.offers.values()]
        for rider_id, task in (await self._lent.tasks(city)).items():
            offers += [pb.RiderOffer(rider_id=rider_id, offer=offer) for offer in task.offers]
        return pb.OpenOffersResponse(epoch=city.epoch, offers=offers)

    async def RiderTasks(self, request: pb.RiderTasksRequest, context: Context) -> pb.RiderTasksResponse:  # noqa: N802
        city = await self._shard.soon(request.city)
        riders = (city.state.riders.get(RiderId(rider_id)) for rider_id in request.rider_ids)
        lent = await self._lent.tasks(city, request.rider_ids)
        tasks = [lent.get(r.rider_id) or _tasks(city, r) for r in riders if r is not None]
        return pb.RiderTasksResponse(epoch=city.epoch, tasks=tasks)

    async def Estimate(self, request: pb.EstimateRequest, context: Context) -> pb.EstimateResponse:  # noqa: N802
        city = await self._shard.soon(request.city)
        pickup, drop = _place(request.pickup, "pickup"), _place(request.dropoff, "dropoff")
        now_ms = self._clock.domain_ms()
        travel = city.committed.memory.travel or self._travel_of(city.name)
        asked = queries.AskedOrder(pickup, drop, request.ready_ms or now_ms)
        waiting = queries.waiting_for(city, asked, now_ms, self._params)
        calibration = city.committed.memory.learning.calibration
        found = await asyncio.to_thread(open_eta, waiting, now_ms, travel, self._params, calibration)
        return pb.EstimateResponse(
            eta_ms=found.quote.median_ms,
            eta_p90_ms=found.quote.p90_ms,
            travel_s=found.travel_s,
            travel_model=travel.version,
        )

    async def NearestRiders(  # noqa: N802
        self, request: pb.NearestRidersRequest, context: Context
    ) -> pb.NearestRidersResponse:
        city = await self._shard.soon(request.city)
        if not 1 <= request.k <= 100:
            raise Invalid("k", f"must be within 1..100, got {request.k}")
        columns, found = queries.near(city, _place(request.at, "at"), request.k, self._clock.domain_ms())
        riders = [
            pb.NearRider(
                rider_id=int(columns.rider_id[row]),
                at=LatLng(lat_e7=int(columns.lat_e7[row]), lng_e7=int(columns.lng_e7[row])),
                distance_m=distance_m,
                age_ms=age_ms,
            )
            for row, distance_m, age_ms in zip(
                found.index[0].tolist(), found.distance_m[0].tolist(), found.age_ms[0].tolist(), strict=True
            )
            if row >= 0
        ]
        return pb.NearestRidersResponse(riders=riders)

    async def Explain(self, request: pb.ExplainRequest, context: Context) -> pb.ExplainResponse:  # noqa: N802
        city = await self._shard.soon(request.city)
        await self._order(city, OrderId(request.order_id))
        records = await self._decision_log.explain(city.name, OrderId(request.order_id))
        return pb.ExplainResponse(records_json=records)

    async def WatchCity(  # noqa: N802
        self, request: pb.WatchCityRequest, context: Context
    ) -> AsyncIterator[pb.WatchCityResponse]:
        if not 100 <= request.every_ms <= 10_000:
            raise Invalid("every_ms", f"must be within 100..10000, got {request.every_ms}")
        while True:
            yield self._frame(await self._shard.soon(request.city))
            await asyncio.sleep(request.every_ms / 1000)

    async def _order(self, city: LiveCity, order_id: OrderId) -> tuple[Order, tracks.Track]:
        order, track = city.state.orders.get(order_id), city.committed.memory.tracks.get(order_id)
        if order is not None and track is not None:
            return order, track
        stored = await self._decision_log.track(city.name, order_id)
        if stored is None:
            raise UnknownOrder(order_id)
        return stored

    def _frame(self, city: LiveCity) -> pb.WatchCityResponse:
        now_ms = self._clock.domain_ms()
        last = city.ingested.positions.snapshot(now_ms, city.stale_after_ms).columns
        riders = city.state.riders
        activities = [_ACTIVITIES[queries.activity(riders.get(RiderId(rider)))] for rider in last.rider_id.tolist()]
        columns: dict[str, NDArray[Any]] = {
            "rider_id": last.rider_id,
            "rider_lat_e7": last.lat_e7,
            "rider_lng_e7": last.lng_e7,
            "rider_ts_ms": last.ts_ms,
            "rider_state": np.array(activities, np.uint8),
        }
        return pb.WatchCityResponse(
            city=city.name,
            epoch=city.epoch,
            shard_id=self._shard.shard_id,
            now_ms=now_ms,
            tick=city.committed.tick,
            **pack(WATCH_CITY, columns),
            orders=[_city_order(city, order) for order in _shown(city, now_ms)],
            counters=_counters(city),
        )


def _place(message: LatLng, field: str) -> Any:
    place = point(message)
    if abs(place.lat_e7) > MAX_LAT_E7 or abs(place.lng_e7) > MAX_LNG_E7:
        raise Invalid(field, "is not a place on earth")
    return place


def _add_rider(answer: pb.TrackResponse, city: LiveCity, order_id: OrderId, rider_id: RiderId) -> None:
    answer.rider_id = rider_id
    fix = queries.last_fix(city, rider_id)
    if fix is not None:
        answer.rider_at.lat_e7, answer.rider_at.lng_e7 = int(fix.lat_e7[0]), int(fix.lng_e7[0])
        answer.rider_ts_ms = int(fix.ts_ms[0])
    answer.stops.extend(_stop(city, stop) for stop in queries.stops_of(city.state.riders[rider_id], order_id))


def _stop(city: LiveCity, stop: Stop) -> rider_link_pb2.Stop:
    return stop_message(stop, queries.ready_ms(city, stop))


def _offer(city: LiveCity, offer: Offer) -> rider_link_pb2.Offer:
    return offer_message(offer, city.epoch, [_stop(city, stop) for stop in offer.stops])


def _tasks(city: LiveCity, rider: Rider) -> pb.RiderTasks:
    offer = city.state.offers.get(rider.offer_id) if rider.offer_id is not None else None
    return pb.RiderTasks(
        rider_id=rider.rider_id,
        offers=[_offer(city, offer)] if offer is not None else [],
        route=rider_link_pb2.Route(
            stops=[_stop(city, stop) for stop in rider.stops], version=int(queries.route_version(city, rider.rider_id))
        ),
        moved_to=rider.moved_to,
    )


def _shown(city: LiveCity, now_ms: int) -> list[Order]:
    since_ms = now_ms - _SHOWN_AFTER_END_MS
    return [*city.state.orders.values(), *(o for o in city.committed.ended if (o.ended_ms or 0) >= since_ms)]


def _city_order(city: LiveCity, order: Order) -> pb.CityOrder:
    eta = city.committed.memory.etas.get(order.order_id)
    return pb.CityOrder(
        order_id=order.order_id,
        state=_STATES[order.status],
        pickup=lat_lng(order.pickup),
        dropoff=lat_lng(order.drop),
        rider_id=order.rider_id or 0,
        eta_ms=eta.median_ms if eta is not None else 0,
        promised_ms=order.promised_ms,
    )


def _counters(city: LiveCity) -> pb.CityCounters:
    counters = city.counters
    p50_ms, p99_ms = counters.tick_percentiles_ms()
    return pb.CityCounters(
        fixes_applied=counters.fixes_applied,
        fixes_superseded=counters.fixes_superseded,
        orders_delivered=counters.orders_delivered,
        offers_made=counters.offers_made,
        offers_declined=counters.offers_declined,
        ticks_fallback=counters.ticks_fallback,
        tick_p50_ms=p50_ms,
        tick_p99_ms=p99_ms,
        riders_online=sum(rider.online for rider in city.state.riders.values()),
        orders_open=len(city.state.orders),
        pings_began=counters.pings_began,
    )
