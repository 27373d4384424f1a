"""List the migrations that make up each database: the only such list."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from dispatch.shard.adapters.postgres import SCHEMA as DISPATCH
from node import set_aside
from node.postgres import Schema, SchemaState, migrate, schema_state
from orders.config import OrdersSettings
from orders.ordering.adapters.postgres.schema import SCHEMAS as ORDERS
from orders.payments.adapters.postgres import SCHEMAS as PAYMENTS
from orders.payments.config import PaymentsSettings
from orders.ranges import RangeMap
from shard_router.adapters.postgres import SCHEMA as ROUTER


@dataclass(frozen=True, slots=True)
class Database:
    """A database and what it is made of, in the order in which it is made."""

    name: str
    url: str
    schemas: tuple[Schema, ...]


@dataclass(frozen=True, slots=True)
class Done:
    """Outcome of migrating a package in a database."""

    database: str
    state: SchemaState
    #: Migrations applied just now.
    new: tuple[str, ...] = ()


def databases(orders: OrdersSettings, payments: PaymentsSettings) -> list[Database]:
    """All databases that the settings name."""
    return [
        Database(orders.core_database, orders.core_url, (ROUTER, DISPATCH, set_aside.SCHEMA)),
        *(
            Database(part.database, orders.database(part.database), ORDERS)
            for part in RangeMap.parse(orders.orders_ranges).ranges
        ),
        Database(payments.payments_database, payments.database(payments.payments_database), PAYMENTS),
    ]


async def migrate_all(plan: Sequence[Database]) -> list[Done]:
    """Brings all up to date; databases side by side, the packages of each in turn. Safe to run twice and at once."""
    return [one for part in await asyncio.gather(*map(_migrate, plan)) for one in part]


async def state_of_all(plan: Sequence[Database]) -> list[Done]:
    """Read the state of each. Changes nothing."""
    return [one for part in await asyncio.gather(*map(_state, plan)) for one in part]


async def _migrate(database: Database) -> list[Done]:
    done = []
    for schema in database.schemas:
        new = await migrate(database.url, schema.package, schema.folder)
        done.append(Done(database.name, await schema_state(database.url, schema), tuple(new)))
    return done


async def _state(database: Database) -> list[Done]:
    return [Done(database.name, await schema_state(database.url, schema)) for schema in database.schemas]
