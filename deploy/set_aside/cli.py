"""`forno log poison list | retry | drop`: messages that could not be read, stored or sent, in all databases."""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import asyncpg
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError
from google.protobuf.message import DecodeError

from deploy.database.plan import Database, databases
from node import arguments, postgres, set_aside
from node.errors import FornoError, NotFound, Rejected, Retryable
from node.kafka import Outgoing, consumer, producer, send_all
from node.postgres import SchemaMissing, statements
from node.running import join, of_a_stack, setting
from node.set_aside import UNSENT, Row
from node.settings import load
from orders.config import OrdersSettings
from orders.payments.config import PaymentsSettings
from proto.dispatch.v1.city_event_pb2 import CityEvent
from proto.topics import CITY_EVENTS

SQL = statements(__file__)

#: Rows of each database that are listed.
LISTED = 200
#: Columns of a terminal.
WIDTH = 80
#: A message that is read from the log again comes within so many wall seconds.
_READ_S = 10.0


def main(argv: list[str]) -> int:
    """0 when it was done, 1 when not, 2 for nonsense."""
    parser = arguments.Parser(prog="forno log poison", description=__doc__)
    common = arguments.Parser(add_help=False, parents=[of_a_stack()])
    common.add_argument("--postgres", metavar="URL", help="Postgres without a database name (default: the stack's)")
    common.add_argument("--json", action="store_true", help="print JSON")
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("list", parents=[common], help="the messages, newest first, each with its reason")
    retry = verbs.add_parser("retry", parents=[common], help="have a message read or sent once more")
    retry.add_argument("--kafka", type=arguments.address, help="host:port of Kafka (default: the stack's)")
    drop = verbs.add_parser("drop", parents=[common], help="forget a message for good")
    for verb in (retry, drop):
        verb.add_argument("id", type=_place, metavar="DATABASE/NUMBER", help="as the list shows it")
    words = parser.parse_args(argv)
    join("postgres_url", words.postgres, words.dir)
    plan = databases(load(OrdersSettings), load(PaymentsSettings))
    try:
        return asyncio.run(_VERBS[words.verb](plan, words))
    except FornoError as error:
        print(f"forno log poison: {error}", file=sys.stderr)
        return 1


@dataclass(frozen=True, slots=True)
class Place:
    """A row of a database."""

    database: str
    number: int


def _place(word: str) -> Place:
    database, _, number = word.rpartition("/")
    if not database or not number.isascii() or not number.isdecimal() or int(number) >= 2**63:
        raise argparse.ArgumentTypeError(f"{word!r} is not DATABASE/NUMBER, like core/7")
    return Place(database, int(number))


async def _list(plan: Sequence[Database], words: argparse.Namespace) -> int:
    found: list[tuple[str, Row]] = []
    for database in plan:
        # A database that is not migrated yet has set nothing aside.
        with suppress(SchemaMissing):
            found += [(database.name, row) for row in await _rows(database)]
    found.sort(key=lambda one: one[1].set_aside_at, reverse=True)
    if words.json:
        print(json.dumps([_as_json(*one) for one in found], indent=2))
    else:
        print("\n".join(line for one in found for line in _lines(*one)) or "nothing is set aside")
    return 0


async def _retry(plan: Sequence[Database], words: argparse.Namespace) -> int:
    database, place = _database(plan, words.id), words.id
    async with postgres.connection(database.url) as connection, connection.transaction():
        row = await _row(connection, place)
        if row.passed_over:
            raise Rejected("its reader has gone on without it, and would ignore it now: drop it", reason="PASSED_OVER")
        if row.partition == UNSENT:
            await _send_again(connection, row)
            await set_aside.forget(connection, row.id)
        else:
            await _write_again(setting("kafka_url", words.kafka, words.dir), row)
            await set_aside.finish(connection, row.id)
    _say(words, place, "retried")
    return 0


async def _drop(plan: Sequence[Database], words: argparse.Namespace) -> int:
    database, place = _database(plan, words.id), words.id
    async with postgres.connection(database.url) as connection:
        row = await _row(connection, place)
        await set_aside.finish(connection, row.id)
    _say(words, place, "dropped")
    return 0


async def _rows(database: Database) -> list[Row]:
    async with postgres.connection(database.url) as connection:
        return await set_aside.rows(connection, LISTED)


_VERBS = {"list": _list, "retry": _retry, "drop": _drop}


def _database(plan: Sequence[Database], place: Place) -> Database:
    for database in plan:
        if database.name == place.database:
            return database
    names = ", ".join(database.name for database in plan)
    raise NotFound(f"no database {place.database!r}; there are: {names}", reason="UNKNOWN_DATABASE")


async def _row(connection: asyncpg.Connection, place: Place) -> Row:
    row = await set_aside.row(connection, place.number)
    if row is None:
        raise NotFound(f"nothing is set aside as {place.database}/{place.number}", reason="UNKNOWN_MESSAGE")
    return row


async def _send_again(connection: asyncpg.Connection, row: Row) -> None:
    """Has the relay send a message of its outbox again."""
    if await connection.fetchval(SQL.send_again, row.log_offset, row.key) is None:
        raise Rejected("the message is no longer in the outbox, which keeps a day: drop it", reason="MESSAGE_GONE")


async def _write_again(kafka_url: str, row: Row) -> None:
    """Append the message to its partition, where its reader comes to it again. Killed before the row is done, it may be
    appended once more: a copy is the same each time, and readers drop repetitions.
    """
    value = _copy(row, row.payload if row.whole else await _from_log(kafka_url, row))
    writer = producer(kafka_url)
    try:
        await writer.start()
        refused = await send_all(writer, [Outgoing(row.topic, row.key, value, row.partition)])
    except (KafkaError, OSError) as error:
        raise Retryable(f"Kafka is away: {error!r}", reason="KAFKA_AWAY") from error
    finally:
        await writer.stop()
    if refused:
        raise Rejected(f"Kafka refuses it: {refused[0]}", reason="MESSAGE_REFUSED")


def _copy(row: Row, value: bytes) -> bytes:
    """The message to append. An event of a city gets another id: who reads the log with a newer release than the one
    that set the message aside takes the original for read, and would drop the copy as a repetition.
    """
    if row.topic != CITY_EVENTS.name:
        return value
    try:
        event = CityEvent.FromString(value)
    except DecodeError:
        return value
    event.event_id = f"retry-{row.id}-{row.sha256.hex()[:16]}"
    return event.SerializeToString()


async def _from_log(kafka_url: str, row: Row) -> bytes:
    """All of a message of which only the beginning was kept."""
    reader, partition = consumer(kafka_url), TopicPartition(row.topic, row.partition)
    try:
        await reader.start()
        reader.assign([partition])
        reader.seek(partition, row.log_offset)
        async with asyncio.timeout(_READ_S):
            record = await reader.getone(partition)
    except (KafkaError, OSError) as error:
        raise Rejected(f"the log does not have all of the message: {error!r}", reason="MESSAGE_GONE") from error
    finally:
        await reader.stop()
    value: bytes = record.value or b""
    if hashlib.sha256(value).digest() != row.sha256:
        raise Rejected("another message lies there: the log was replaced", reason="MESSAGE_GONE")
    return value


def _say(words: argparse.Namespace, place: Place, done: str) -> None:
    name = f"{place.database}/{place.number}"
    print(json.dumps({"id": name, "state": done}) if words.json else f"{name} {done}")


def _as_json(database: str, row: Row) -> dict[str, object]:
    return {
        "id": f"{database}/{row.id}",
        "set_aside_at": row.set_aside_at.isoformat(timespec="seconds"),
        "reader": row.reader,
        "topic": row.topic,
        "partition": None if row.partition == UNSENT else row.partition,
        "offset": row.log_offset,
        "key": row.key,
        "bytes": row.size,
        "reason": row.reason,
        "beginning": row.payload[:64].hex(),
    }


def _lines(database: str, row: Row) -> list[str]:
    """Two lines of at most `WIDTH` columns; what is cut stands whole in the JSON."""
    where = f"{row.topic}[{row.partition}]@{row.log_offset}" if row.partition != UNSENT else f"unsent to {row.topic}"
    first = f"{database}/{row.id}  {row.set_aside_at:%Y-%m-%d %H:%M:%S}  {row.size} bytes  {where}"
    second = f"    {row.reader}: {row.reason}"
    return [line if len(line) <= WIDTH else line[: WIDTH - 1] + "…" for line in (first, second)]
