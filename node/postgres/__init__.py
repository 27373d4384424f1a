"""Postgres: pools, numbered migrations, named statements, errors by what a caller does about them."""

from node.postgres.errors import (
    DataAtFault,
    DatabaseAway,
    SchemaMissing,
    TransactionConflict,
    UniqueViolated,
    classified,
    classify,
    state_means,
)
from node.postgres.migrations import Schema, SchemaDiffers, SchemaState, migrate, number_of, schema_state
from node.postgres.pool import GUARDS, PoolExhausted, connect, connection, session
from node.postgres.sql import Statements, statements

__all__ = [
    "GUARDS",
    "DataAtFault",
    "DatabaseAway",
    "PoolExhausted",
    "Schema",
    "SchemaDiffers",
    "SchemaMissing",
    "SchemaState",
    "Statements",
    "TransactionConflict",
    "UniqueViolated",
    "classified",
    "classify",
    "connect",
    "connection",
    "migrate",
    "number_of",
    "schema_state",
    "session",
    "state_means",
    "statements",
]
