"""Audit the record of a running system: find lost input, double decisions and broken epochs (`forno shards audit`).

It reads what shards wrote (schema `dispatch`) beside who owned what (schema `router`), in one snapshot of the database,
and changes nothing. Each check is a query in `checks.sql` that finds what must not be.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from node import postgres
from node.errors import Rejected
from node.postgres import SchemaMissing, statements

SQL = statements(__file__)
#: By the promise that each proves.
CHECKS: Mapping[str, str] = {name.replace("_", " "): SQL[name] for name in SQL if name != "examined"}

#: Findings shown of one check; the rest is counted.
SHOWN = 20


@dataclass(frozen=True, slots=True)
class AuditFinding:
    """A promise that was broken: which, where, how."""

    check: str
    city: str
    what: str


@dataclass(frozen=True, slots=True)
class Audit:
    """The result of an audit: rows examined, findings; `more` counts findings beyond `SHOWN` of a check."""

    examined: Mapping[str, int]
    findings: tuple[AuditFinding, ...]
    more: int

    @property
    def clean(self) -> bool:
        """Whether every promise held."""
        return not self.findings


async def audit(url: str) -> Audit:
    """Audits the core database. Raises `Retryable` while it is away, `Rejected` while no shard has ever run."""
    try:
        async with (
            postgres.connection(url) as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            examined = dict(await connection.fetchrow(SQL.examined))
            findings: list[AuditFinding] = []
            more = 0
            for check, query in CHECKS.items():
                rows = await connection.fetch(query)
                findings += [AuditFinding(check, row[0], row[1]) for row in rows[:SHOWN]]
                more += max(0, len(rows) - SHOWN)
    except SchemaMissing as error:
        raise Rejected(
            "no shard has run on this database yet: there is nothing to audit", reason="NO_RECORD"
        ) from error
    return Audit(examined, tuple(findings), more)
