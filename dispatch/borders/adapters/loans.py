"""Loans of riders: the book in Postgres, the logs in Kafka, the neighbours by gRPC."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import asyncpg
import grpc.aio
from aiokafka import AIOKafkaProducer

from dispatch.borders import wire
from dispatch.borders.borrow_choice import SharedView
from dispatch.borders.ports import LoanRow
from dispatch.engine.forwarding import ForwardedMessage
from dispatch.engine.model import Loan, Rider, RiderId
from dispatch.logs import loan_events
from dispatch.metrics import FIXES_NOT_FORWARDED
from dispatch.shard.adapters.rows import rider_of
from node import postgres
from node.clock import Clock
from node.errors import FornoError, Retryable
from node.kafka import Outgoing, send_all
from node.postgres import statements
from node.rpc import fault_of
from node.set_aside import UNSENT, BadMessage, SetAside
from proto.dispatch.v1 import borders_pb2
from proto.dispatch.v1.borders_pb2_grpc import BordersStub
from proto.dispatch.v1.city_event_pb2 import CityEvent
from proto.fix_columns import FixColumns
from proto.fix_messages import encode_fixes
from proto.topics import CITY_EVENTS, RIDER_PINGS
from shard_router.client import Directory

SQL = statements(__file__)

_QUERY_TIMEOUT_S = 2.0
_ANSWER_S = 2.0


class PostgresLoanBook:
    """`LoanBook` on a pool of database `core`."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def of_borrower(self, city: str) -> Sequence[LoanRow]:
        async with postgres.session(self._pool, _QUERY_TIMEOUT_S) as session:
            return [_row(row) for row in await session.fetch(SQL.of_borrower, city)]

    async def of_home(self, city: str) -> Sequence[LoanRow]:
        async with postgres.session(self._pool, _QUERY_TIMEOUT_S) as session:
            return [_row(row) for row in await session.fetch(SQL.of_home, city)]

    async def give_back(self, loan_id: str, free_ms: int) -> None:
        async with postgres.session(self._pool, _QUERY_TIMEOUT_S) as session:
            await session.execute(SQL.give_back, loan_id, free_ms)

    async def forget(self, loan_id: str) -> None:
        async with postgres.session(self._pool, _QUERY_TIMEOUT_S) as session:
            await session.execute(SQL.forget, loan_id)


def _row(row: Any) -> LoanRow:
    rider = rider_of(row["rider"])
    assert rider.loan is not None, "lent without a loan"
    return LoanRow(rider, rider.loan, row["returned"], row["free_ms"])


class KafkaBorderLogs:
    """`BorderLogs` on a producer whose sends are durable when they return.

    An event that Kafka will never take is set aside; fixes are counted.
    """

    def __init__(self, producer: AIOKafkaProducer, shard_id: str, clock: Clock, set_aside: SetAside) -> None:
        self._producer = producer
        self._shard_id = shard_id
        self._clock = clock
        self._set_aside = set_aside

    async def asked(self, home_partition: int, rider_id: RiderId, loan: Loan) -> None:
        await self._event(home_partition, loan_events.lent_event(rider_id, loan, self._clock.wall_ms()))

    async def granted(self, rider: Rider, loan: Loan) -> None:
        await self._event(loan.borrower_partition, loan_events.borrowed_event(rider, loan, self._clock.wall_ms()))

    async def ended(self, home_partition: int, rider_id: RiderId, loan: Loan, free_ms: int) -> None:
        event = loan_events.returned_event(rider_id, loan, free_ms, self._clock.wall_ms())
        await self._event(home_partition, event)

    async def forward(self, messages: Sequence[ForwardedMessage]) -> None:
        for event_id, item, loan in messages:
            event = loan_events.forwarded_event(event_id, item, loan.borrower, self._clock.wall_ms())
            await self._event(loan.borrower_partition, event)

    async def fixes(self, loan: Loan, fixes: FixColumns) -> None:
        value = encode_fixes(loan.borrower, fixes, self._shard_id, self._clock.wall_ms())
        message = Outgoing(RIDER_PINGS.name, loan.borrower, value, loan.borrower_partition)
        # Not set aside: the next ones supersede them, half a second later.
        FIXES_NOT_FORWARDED.labels(loan.home).inc(len(fixes) if await send_all(self._producer, [message]) else 0)

    async def _event(self, partition: int, event: CityEvent) -> None:
        message = Outgoing(CITY_EVENTS.name, event.city, event.SerializeToString(), partition)
        for reason in (await send_all(self._producer, [message])).values():
            # Nothing would come of trying again, and the tick that forwards it has a city to look after.
            bad = BadMessage.of(message.topic, UNSENT, 0, message.key, message.value, reason, passed_over=True)
            await self._set_aside([bad])


class GrpcNeighbours:
    """`Neighbours` by calls to the cities' owners."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    async def view(self, city: str, borrower: str) -> SharedView:
        request = borders_pb2.ViewCityRequest(city=city, borrower=borrower)
        answer: borders_pb2.ViewCityResponse = await self._call(city, "ViewCity", request)
        return await asyncio.to_thread(wire.view_value, answer)

    async def lend(self, rider_id: RiderId, loan: Loan) -> bool:
        request = borders_pb2.LendRiderRequest(city=loan.home, loan=loan_events.loan_message(rider_id, loan))
        answer: borders_pb2.LendRiderResponse = await self._call(loan.home, "LendRider", request)
        return answer.asked

    async def _call(self, city: str, method: str, request: Any) -> Any:
        try:
            # Not through `ask`: a question about a city that moves just now is not worth waiting for.
            stub = BordersStub(self._directory.channel(city))
            return await getattr(stub, method)(request, timeout=_ANSWER_S)
        except grpc.aio.AioRpcError as error:
            raise Retryable(f"{city}: {fault_of(error).message}", reason="NEIGHBOUR_AWAY") from error
        except FornoError as error:
            raise Retryable(f"{city}: {error}", reason="NEIGHBOUR_AWAY") from error
