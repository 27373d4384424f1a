"""Errors of finding or holding a city."""

from __future__ import annotations

from collections.abc import Iterable

from node.errors import FornoError, Invalid, Rejected, Retryable


class UnknownCity(Invalid):
    """There is no such city on the map."""

    def __init__(self, city: str) -> None:
        super().__init__("city", f"no city {city!r}; `forno shards list` shows them", reason="UNKNOWN_CITY")


class UnknownShard(Invalid):
    """There is no such shard on the map."""

    def __init__(self, shard_id: str, known: Iterable[str]) -> None:
        names = ", ".join(sorted(known)) or "none"
        super().__init__("shard", f"no shard {shard_id!r}; there are: {names}", reason="UNKNOWN_SHARD")


class PlanRefused(Rejected):
    """A plan that cannot be applied now: unknown, done, or another one runs."""


class NoOwner(Retryable):
    """No shard with a living lease owns the city just now; one will within seconds."""

    def __init__(self, city: str) -> None:
        super().__init__(f"no shard owns {city!r} just now: try again", reason="NO_OWNER", details={"city": city})


class NotOwner(Rejected):
    """The shard that was asked does not own the city (any more): look the owner up anew."""

    def __init__(self, city: str) -> None:
        super().__init__(f"this shard does not own {city!r}", reason="NOT_OWNER", details={"city": city})


class MoveRefused(Rejected):
    """A move or drain that makes no sense now: unknown, same, dead or drained target, or another move under way."""


class ShardTaken(FornoError):
    """Another process is running under this shard's name."""

    reason = "SHARD_TAKEN"
