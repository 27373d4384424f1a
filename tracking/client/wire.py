"""Translate between the values of the client and `tracking.v1`. Used by the asyncio client; good for any other, too."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from proto.columns import PING_BATCH
from proto.common.v1.types_pb2 import LatLng
from proto.tracking.v1 import rider_link_pb2 as pb
from tracking.client.send_buffer import Batch, FixRow, Reply, Single
from tracking.client.values import Event, Offer, OfferRetracted, Refused, Route, Stop, StopKind, Throttled


def hello(device_ms: int, last_session: int, app_version: str, last_city: str = "") -> pb.ConnectRequest:
    """The first message up."""
    said = pb.Hello(app_version=app_version, device_ms=device_ms, last_session=last_session, last_city=last_city)
    return pb.ConnectRequest(hello=said)


def seen(offer_id: str) -> pb.ConnectRequest:
    """Quiets the resending of an offer."""
    return pb.ConnectRequest(seen=pb.OfferSeen(offer_id=offer_id))


def request(message: Batch | Single) -> pb.ConnectRequest:
    """A numbered message."""
    if isinstance(message, Batch):
        return pb.ConnectRequest(pings=ping_batch(message.first_seq, message.fixes))
    seq, event = message.first_seq, message.event
    if isinstance(event, Reply):
        reply = pb.OfferReply(seq=seq, offer_id=event.offer_id, accepted=event.accepted, ts_ms=event.ts_ms)
        return pb.ConnectRequest(reply=reply)
    status = pb.StatusUpdate(
        seq=seq,
        status=pb.RiderStatus.ValueType(event.status),
        order_id=event.order_id,
        ts_ms=event.ts_ms,
        shift_end_ms=event.shift_end_ms,
        capacity=event.capacity,
        vehicle=pb.Vehicle.ValueType(event.vehicle),
        at=LatLng(lat_e7=event.at[0], lng_e7=event.at[1]) if event.at else None,
    )
    return pb.ConnectRequest(status=status)


def ping_batch(first_seq: int, fixes: tuple[FixRow, ...]) -> pb.PingBatch:
    """Fixes as packed columns, numbered from `first_seq` on."""
    seqs = range(first_seq, first_seq + len(fixes))
    columns = zip(PING_BATCH.items(), (seqs, *zip(*fixes, strict=True)), strict=True)
    return pb.PingBatch(**{name: np.array(values, kind).tobytes() for (name, kind), values in columns})


def event(response: pb.ConnectResponse, session: int) -> Event | None:
    """The edge's message as the app gets it; None for what only the client itself needs (acks, Welcome, Reconnect)."""
    kind = response.WhichOneof("kind")
    if kind == "offer":
        return offer(response.offer)
    if kind == "retracted":
        return OfferRetracted(response.retracted.offer_id, response.retracted.reason)
    if kind == "route":
        return route(response.route)
    if kind == "throttle":
        return Throttled(response.throttle.max_fixes_per_s)
    if kind == "refused":
        said = response.refused
        return Refused(session, said.seq, said.field, said.reason, said.message)
    return None


def offer(message: pb.Offer) -> Offer:
    """An offer as a value."""
    return Offer(message.offer_id, tuple(message.order_ids), _stops(message.stops), message.expires_ms, message.epoch)


def route(message: pb.Route) -> Route:
    """A route as a value."""
    return Route(_stops(message.stops), message.version)


def _stops(stops: Iterable[pb.Stop]) -> tuple[Stop, ...]:
    return tuple(
        Stop(
            StopKind(stop.kind),
            tuple(stop.order_ids),
            stop.at.lat_e7,
            stop.at.lng_e7,
            stop.eta_ms,
            stop.ready_ms,
            stop.restaurant_id,
        )
        for stop in stops
    )
