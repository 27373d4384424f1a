"""The logs in Kafka: `rider.pings` and `city.events`, the partition chosen by the city."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from node.clock import Clock
from proto.common.v1.types_pb2 import LatLng
from proto.dispatch.v1.city_event_pb2 import CityEvent
from proto.dispatch.v1.city_event_pb2 import RiderReplied as RepliedMessage
from proto.dispatch.v1.city_event_pb2 import RiderStatusChanged as StatusMessage
from proto.fix_columns import FixColumns
from proto.fix_messages import encode_fixes
from proto.topics import CITY_EVENTS, RIDER_PINGS
from proto.tracking.v1 import rider_link_pb2 as link
from tracking.errors import LogAway
from tracking.model import RiderEvent, RiderRehomed, RiderReplied


class KafkaFixLog:
    """`ports.FixLog` over a producer whose sends are durable when they return. Starts and stops with its owner."""

    def __init__(self, producer: AIOKafkaProducer, edge_id: str, clock: Clock) -> None:
        self._producer = producer
        self._edge_id = edge_id
        self._clock = clock

    async def append(self, city: str, partition: int, fixes: FixColumns) -> None:
        message = encode_fixes(city, fixes, self._edge_id, self._clock.wall_ms())
        try:
            await self._producer.send_and_wait(RIDER_PINGS.name, message, partition=partition)
        except (KafkaError, AssertionError) as error:  # aiokafka asserts that a partition exists
            raise LogAway(f"{RIDER_PINGS.name}[{partition}]: {error!r}") from error


class KafkaEventLog:
    """`ports.EventLog` over a producer whose sends are durable when they return. Starts and stops with its owner."""

    def __init__(self, producer: AIOKafkaProducer, clock: Clock) -> None:
        self._producer = producer
        self._clock = clock

    async def append(self, partition: int, events: Sequence[RiderEvent]) -> None:
        now_ms = self._clock.wall_ms()
        try:
            sends = [
                await self._producer.send(
                    CITY_EVENTS.name, city_event(event, now_ms).SerializeToString(), partition=partition
                )
                for event in events
            ]
            failed = [one for one in await asyncio.gather(*sends, return_exceptions=True) if isinstance(one, Exception)]
            if failed:
                raise failed[0]
        except (KafkaError, AssertionError) as error:
            raise LogAway(f"{CITY_EVENTS.name}[{partition}]: {error!r}") from error


def city_event(event: RiderEvent, sent_wall_ms: int) -> CityEvent:
    """The message of `city.events`."""
    message = CityEvent(event_id=event.event_id, city=event.city, sent_wall_ms=sent_wall_ms)
    body = event.body
    if isinstance(body, RiderReplied):
        reply = link.OfferReply(seq=event.seq, offer_id=body.offer_id, accepted=body.accepted, ts_ms=body.ts_ms)
        message.rider_replied.CopyFrom(RepliedMessage(rider_id=event.rider_id, session=event.session, reply=reply))
        return message
    if isinstance(body, RiderRehomed):
        message.rider_rehomed.rider_id, message.rider_rehomed.at_ms = event.rider_id, body.ts_ms
        message.rider_rehomed.from_city, message.rider_rehomed.to_city = body.from_city, body.to_city
        return message
    status = link.StatusUpdate(
        seq=event.seq,
        status=link.RiderStatus.ValueType(body.status),
        order_id=body.order_id,
        ts_ms=body.ts_ms,
        shift_end_ms=body.shift_end_ms,
        capacity=body.capacity,
        vehicle=link.Vehicle.ValueType(body.vehicle),
        at=LatLng(lat_e7=body.at[0], lng_e7=body.at[1]) if body.at else None,
    )
    message.rider_status.CopyFrom(StatusMessage(rider_id=event.rider_id, session=event.session, status=status))
    return message
