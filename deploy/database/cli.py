"""`forno db migrate | status`."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence

import asyncpg

from deploy.database.plan import Done, databases, migrate_all, state_of_all
from node import arguments
from node.errors import FornoError
from node.postgres import classified
from node.running import join, of_a_stack
from node.settings import load
from node.table import show
from orders.config import OrdersSettings
from orders.payments.config import PaymentsSettings


def main(argv: list[str]) -> int:
    """0 when every database is (now) up to date, 1 when one is not or could not be reached, 2 for nonsense."""
    parser = arguments.Parser(
        prog="forno db", description="The databases and their numbered migrations.", parents=[of_a_stack()]
    )
    parser.add_argument("verb", choices=("migrate", "status"), help="migrate: apply what is pending; status: list only")
    parser.add_argument(
        "--postgres", metavar="URL", help="Postgres without a database name (default: of the running stack)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    words = parser.parse_args(argv)
    join("postgres_url", words.postgres, words.dir)
    plan = databases(load(OrdersSettings), load(PaymentsSettings))
    try:
        with classified():
            done = asyncio.run(migrate_all(plan) if words.verb == "migrate" else state_of_all(plan))
    except (FornoError, asyncpg.PostgresError) as error:  # the second: a migration at fault
        print(f"forno db: {type(error).__name__}: {error}", file=sys.stderr)
        return 1
    if words.json:
        print(json.dumps(as_json(done), indent=2))
    else:
        show("", ("database", "package", "state"), [(one.database, one.state.package, _words(one)) for one in done])
    return 0 if all(not one.state.pending for one in done) else 1


def as_json(done: Sequence[Done]) -> dict[str, object]:
    """The JSON that the verbs print with `--json`."""
    rows = [
        {
            "database": one.database,
            "package": one.state.package,
            "applied": one.state.applied,
            "applied_now": list(one.new),
            "pending": one.state.pending,
            "unknown": one.state.unknown,
        }
        for one in done
    ]
    return {"up_to_date": all(not one.state.pending for one in done), "schemas": rows}


def _words(one: Done) -> str:
    words = [f"at {one.state.applied[-1]}" if one.state.applied else "empty"]
    if one.new:
        words.append(f"applied {', '.join(one.new)}")
    if one.state.pending:
        words.append(f"pending {', '.join(one.state.pending)}")
    if one.state.unknown:
        words.append(f"newer than this release: {', '.join(one.state.unknown)}")
    return "; ".join(words)
