"""The statements of a database of orders."""

from __future__ import annotations

from node.postgres import statements

SQL = statements(__file__)
