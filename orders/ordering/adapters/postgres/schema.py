"""The tables of a database of orders."""

from __future__ import annotations

from pathlib import Path

from node import set_aside
from node.postgres import Schema
from orders.messaging import postgres as messaging

_ORDERS = Path(__file__).parents[3]

#: What a database of orders is made of, in this order: also the tables of kitchens and of the archive.
SCHEMAS = (messaging.SCHEMA, Schema("orders", _ORDERS / "migrations"), set_aside.SCHEMA)
