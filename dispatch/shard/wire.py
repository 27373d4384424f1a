"""Values of a shard as messages: results, live positions, wakes, stops and offers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dispatch.engine.model import Offer, Stop, StopKind
from dispatch.engine.tracks import Result, ResultKind
from dispatch.logs.wire import lat_lng
from dispatch.shard.ports import LivePosition
from node.outbox.message import Message
from proto.dispatch.v1 import dispatch_event_pb2, live_pb2
from proto.topics import DISPATCH_EVENTS
from proto.tracking.v1 import rider_link_pb2
from shard_router.topology import Ownership


def result_message(own: Ownership, result: Result) -> Message:
    """A result as a message of dispatch.events."""
    payload = _encode_result(own.city, own.epoch, result)
    return Message(result.event_id, result.order_id, DISPATCH_EVENTS.name, payload, own.city)


def _encode_result(city: str, epoch: int, result: Result) -> bytes:
    event = dispatch_event_pb2.DispatchEvent(
        event_id=result.event_id,
        city=city,
        order_id=result.order_id,
        version=result.version,
        epoch=epoch,
        at_ms=result.at_ms,
    )
    eta = result.eta
    if result.kind is ResultKind.ASSIGNED:
        event.assigned.rider_id = result.rider_id
        event.assigned.eta_ms, event.assigned.eta_p90_ms = eta.median_ms, eta.p90_ms
    elif result.kind is ResultKind.UNASSIGNED:
        event.unassigned.rider_id, event.unassigned.reason = result.rider_id, result.reason
    elif result.kind is ResultKind.PICKED_UP:
        event.picked_up.rider_id, event.picked_up.eta_ms = result.rider_id, eta.median_ms
    elif result.kind is ResultKind.DELIVERED:
        event.delivered.rider_id = result.rider_id
    elif result.kind is ResultKind.FAILED:
        event.failed.reason = result.reason
    else:
        event.eta_changed.eta_ms, event.eta_changed.eta_p90_ms = eta.median_ms, eta.p90_ms
    return event.SerializeToString()


def encode_live(city: str, epoch: int, positions: Iterable[LivePosition]) -> bytes:
    """A message of the channel live:<city>."""
    message = live_pb2.LivePositions(city=city, epoch=epoch)
    for p in positions:
        message.positions.add(
            order_id=p.order_id,
            rider_id=p.rider_id,
            lat_e7=p.lat_e7,
            lng_e7=p.lng_e7,
            ts_ms=p.ts_ms,
            session=p.session,
            seq=p.seq,
            heading_cdeg=p.heading_cdeg,
            eta_ms=p.eta_ms,
            picked_up=p.picked_up,
        )
    return message.SerializeToString()


def encode_wake(city: str, epoch: int, order_ids: Sequence[str], rider_ids: Sequence[int]) -> bytes:
    """A message of the channel wake:<city>."""
    return live_pb2.Wake(city=city, epoch=epoch, order_ids=order_ids, rider_ids=rider_ids).SerializeToString()


def stop_message(stop: Stop, ready_ms: int) -> rider_link_pb2.Stop:
    """A stop for a rider's or a customer's screen."""
    pickup = stop.kind is StopKind.PICKUP
    return rider_link_pb2.Stop(
        kind=rider_link_pb2.STOP_KIND_PICKUP if pickup else rider_link_pb2.STOP_KIND_DROPOFF,
        order_ids=stop.order_ids,
        at=lat_lng(stop.point),
        eta_ms=stop.arrive_ms,
        ready_ms=ready_ms if pickup else 0,
        restaurant_id=stop.restaurant_id,
    )


def offer_message(offer: Offer, epoch: int, stops: Iterable[rider_link_pb2.Stop]) -> rider_link_pb2.Offer:
    """An offer for its rider's screen."""
    return rider_link_pb2.Offer(
        offer_id=offer.offer_id,
        order_ids=offer.order_ids,
        stops=stops,
        expires_ms=offer.expires_ms,
        epoch=epoch,
    )
