"""Errors of Postgres and its driver, classified once by what the caller does about them.

| class | SQLSTATE or exception | what to do |
|---|---|---|
| `DatabaseAway` | 08, 53, 57, 58, 25006, 25P03, 55P03, XX; lost connections, timeouts | try again after a pause |
| `TransactionConflict` | 40 (serialization, deadlock), a prepared plan made stale by a migration | try again at once |
| `SchemaMissing` | 42P01, 42703, 42883, 3D000, 3F000 | end: migrations have not run, or the program is wrong |
| of a package (`state_means`) | FR…, raised by its own functions | the package says |
| `UniqueViolated` | 23505 | the caller knows which index means what |
| `DataAtFault` | 22, other 23, values the driver cannot encode | refuse or set aside the data; never try again |

Anything else (a syntax error, a missing permission) is a fault of the program and passes unchanged.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import asyncpg

from node.errors import Conflict, FornoError, Invalid, Retryable


class DatabaseAway(Retryable):
    """The database did not answer; whether a transaction that was being committed took effect is unknown."""

    reason = "POSTGRES_AWAY"


class TransactionConflict(Retryable):
    """Two transactions met and this one was rolled back: try again at once."""

    reason = "TRANSACTION_CONFLICT"
    at_once = True


class SchemaMissing(FornoError):
    """The database, a table, a column or a function is not there: its migrations have not run, or the statement is
    wrong. Trying again would hide the latter.
    """

    reason = "SCHEMA_MISSING"


class UniqueViolated(Conflict):
    """A unique index refused the row; `constraint` is its name."""

    reason = "UNIQUE_VIOLATED"

    def __init__(self, message: str, constraint: str) -> None:
        super().__init__(message, details={"constraint": constraint})
        self.constraint = constraint


class DataAtFault(Invalid):
    """The database cannot hold this value: NUL, a lone surrogate, a number out of range, NaN, a broken constraint."""

    reason = "DATA_AT_FAULT"


_AWAY_STATES = ("08", "53", "57", "58", "25006", "25P03", "55P03", "XX")
_MISSING_STATES = ("42P01", "42703", "42883", "3D000", "3F000")
#: SQLSTATEs that functions of a package raise, and its errors for them.
_OF_PACKAGES: dict[str, Callable[[str], FornoError]] = {}
_DATA_STATES = ("22", "23")

#: Raised by the driver before a value was sent. `asyncpg.exceptions._base.DataError` (a class of its own beside the
#: server's `DataError`) is an `InterfaceError` and a `ValueError`.
_UNENCODABLE = (ValueError, OverflowError)
_DRIVER = (asyncpg.InterfaceError, asyncpg.InternalClientError)
#: An `OSError` of these tells of a file that somebody wrote or read between two queries, not of a connection.
_OF_FILES = {
    errno.EEXIST,
    errno.EFBIG,
    errno.EISDIR,
    errno.ENAMETOOLONG,
    errno.ENOSPC,
    errno.ENOTDIR,
    errno.EROFS,
}

_PARAMETER = re.compile(r"\$(\d+)")
#: A message may quote the value at fault, and that may be long.
_LONGEST = 300


def state_means(state: str, error: Callable[[str], FornoError]) -> None:
    """Have an SQLSTATE that functions of a package raise classified as that package's error, made of the message."""
    _OF_PACKAGES[state] = error


def classify(error: BaseException) -> Exception | None:
    """The error by what the caller does about it; None for what is no error of a database or a fault of the program."""
    if isinstance(error, asyncpg.PostgresError):
        return _of_state(error, error.sqlstate or "")
    if isinstance(error, asyncpg.exceptions.OutdatedSchemaCacheError):
        return TransactionConflict(_words(error))
    if (isinstance(error, _DRIVER) and isinstance(error, _UNENCODABLE)) or isinstance(error, UnicodeEncodeError):
        return DataAtFault(_field(error), _words(error))
    if isinstance(error, (TimeoutError, OSError, *_DRIVER)) and getattr(error, "errno", None) not in _OF_FILES:
        return DatabaseAway(f"postgres is away: {_words(error)}")
    return None


@contextmanager
def classified() -> Iterator[None]:
    """Raises what the driver raises within as one of the classes above."""
    try:
        yield
    except (asyncpg.PostgresError, *_DRIVER, UnicodeEncodeError, OSError) as error:
        known = classify(error)
        if known is None:
            raise
        raise known from error


def _of_state(error: asyncpg.PostgresError, state: str) -> Exception | None:
    if state in _OF_PACKAGES:
        return _OF_PACKAGES[state](_words(error))
    if state.startswith("40") or isinstance(error, asyncpg.InvalidCachedStatementError):
        return TransactionConflict(_words(error))
    if state == "23505":
        return UniqueViolated(_words(error), str(error.constraint_name or ""))
    if state.startswith(_DATA_STATES):
        return DataAtFault(_field(error), _words(error))
    if state.startswith(_MISSING_STATES):
        return SchemaMissing(f"{_words(error)} (is the database up to date? see `forno db status`)")
    if state.startswith(_AWAY_STATES):
        return DatabaseAway(f"postgres is away: {_words(error)}")
    return None


def _field(error: BaseException) -> str:
    """The column, the constraint or the number of the parameter at fault."""
    for name in ("column_name", "constraint_name"):
        if value := getattr(error, name, None):
            return str(value)
    found = _PARAMETER.search(f"{error} {getattr(error, 'context', None) or ''}")
    return f"parameter {found[1]}" if found else "value"


def _words(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:_LONGEST].encode("utf-8", "backslashreplace").decode()
