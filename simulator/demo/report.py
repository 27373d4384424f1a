"""Report a run: its figures, and the conditions that must hold among them."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shard_router.audit.checks import Audit
from simulator.demo.facts.database import DispatchFacts, Spread
from simulator.demo.facts.logs import FixKeys, LoggedFixes, missing
from simulator.demo.facts.shards import AppliedFixes, ShardRow


@dataclass(frozen=True, slots=True, eq=False)
class RunFacts:
    """Facts about a run, gathered after it."""

    seed: int
    speed: float
    seconds: float
    versions: Mapping[str, str]
    shards: Sequence[ShardRow]
    #: How old fixes were at each hop, by what the services observed.
    hops_ms: Mapping[str, Mapping[str, float | int | None]]
    #: Orders the gateway said yes to, orders it refused by reason, and what the order databases hold by status.
    orders_placed: int
    orders_refused: Mapping[str, int]
    order_statuses: Mapping[str, int]
    dispatch: DispatchFacts
    #: Orders that more than one rider said to have picked up or delivered, from the log.
    carried_twice: Sequence[str]
    #: From the journals of the riders' apps.
    fixes_sent: int
    fixes_acked: FixKeys
    fixes_unsettled: int
    messages_refused: Mapping[str, int]
    logged: LoggedFixes
    applied: AppliedFixes
    #: At the WebSockets: how old each fix was, and whether a phone without network made it.
    fix_age_ms: NDArray[np.float64]
    fix_was_offline: NDArray[np.bool_]
    watched: int
    #: What came over the WebSockets, by type; `cell` is a position before pickup.
    frames: Mapping[str, int]
    parts_restarted: Mapping[str, int]
    #: What `forno shards audit` says of the record.
    audit: Audit


def report(found: RunFacts) -> dict[str, Any]:
    """The JSON document of `--report`."""
    acked = applied_of_acked(found)
    return {
        "seed": found.seed,
        "speed": found.speed,
        "seconds": round(found.seconds, 1),
        "orders": {
            "placed": found.orders_placed,
            "delivered": found.dispatch.delivered,
            "double_assigned": len({*found.dispatch.held_twice, *found.carried_twice}),
            "refused": dict(found.orders_refused),
            "by_status": dict(found.order_statuses),
        },
        "pings": {
            "sent": found.fixes_sent,
            "acked": len(found.fixes_acked),
            "applied": acked.applied,
            "superseded": acked.superseded,
            "logged": len(found.logged.keys),
            "resent": len(found.logged.keys) - len(found.fixes_acked),
            "duplicates": found.logged.duplicates,
            "lost": missing(found.fixes_acked, found.logged.keys),
        },
        "messages_refused": dict(found.messages_refused),
        "fix_to_screen_ms": _percentiles(found.fix_age_ms[~found.fix_was_offline]),
        "fix_to_screen_after_no_signal_ms": _percentiles(found.fix_age_ms[found.fix_was_offline]),
        "fix_age_at_hops_ms": {hop: dict(ages) for hop, ages in found.hops_ms.items()},
        "watched": found.watched,
        "frames": dict(found.frames),
        "tick_ms": {"p50": _ms(found.dispatch.tick_ms.middle), "p99": _ms(found.dispatch.tick_ms.high)}
        | {"count": found.dispatch.tick_ms.count},
        "eta_error_s": _spread(found.dispatch.eta_error_s, "median", "p90")
        | {"within_p90": _ms(found.dispatch.eta_within_p90)},
        "click_to_door_min": _spread(found.dispatch.click_to_door_min, "median", "p90")
        | {"mean": _ms(found.dispatch.click_to_door_mean_min)},
        "ready_to_pickup_mean_min": _ms(found.dispatch.ready_to_pickup_mean_min),
        "shards": [
            {"shard": row.shard, "cities": list(row.cities), "epochs": list(row.epochs)} for row in found.shards
        ],
        "versions": dict(found.versions),
        "restarts": dict(found.parts_restarted),
        "audit": {"examined": dict(found.audit.examined), "findings": [asdict(f) for f in found.audit.findings]},
        "machine": _machine(),
        "broken": broken(found),
    }


def applied_of_acked(found: RunFacts) -> AppliedFixes:
    """Counts of what the shards did with the acknowledged fixes, each counted once.

    Their counters count rows of the log. Rows said twice are superseded by themselves; rows whose acknowledgement was
    lost were sent again under another number, and are taken out as the log shows that they were counted.
    """
    newest, overtaken = found.logged.unacked(found.fixes_acked)
    return AppliedFixes(found.applied.applied - newest, found.applied.superseded - found.logged.duplicates - overtaken)


def broken(found: RunFacts) -> list[str]:
    """Promises that were not kept, one line each."""
    applied = applied_of_acked(found)
    acked, logged = len(found.fixes_acked), len(found.logged.keys)
    rules = (
        (not found.dispatch.held_twice, f"orders held by two riders at once: {found.dispatch.held_twice}"),
        (not found.carried_twice, f"orders carried by two riders: {found.carried_twice}"),
        (missing(found.fixes_acked, found.logged.keys) == 0, "acknowledged fixes are missing from the log"),
        (not found.messages_refused, f"the edge refused messages of riders: {dict(found.messages_refused)}"),
        (found.audit.clean, f"the audit found: {[finding.what for finding in found.audit.findings]}"),
        (found.fixes_unsettled == 0, f"{found.fixes_unsettled} fixes were still unacknowledged after the drain"),
        (
            acked == applied.total,
            f"{acked} fixes acknowledged, but {applied.applied} applied and {applied.superseded} superseded"
            f" ({logged} in the log)",
        ),
        (
            sum(found.order_statuses.values()) == found.orders_placed,
            f"{found.orders_placed} orders were confirmed, but the databases hold {dict(found.order_statuses)}",
        ),
    )
    return [text for holds, text in rules if not holds]


def _percentiles(samples: NDArray[np.float64]) -> dict[str, float | int | None]:
    if not len(samples):
        return {"p50": None, "p99": None, "samples": 0}
    p50, p99 = np.percentile(samples, (50, 99))
    return {"p50": _ms(float(p50)), "p99": _ms(float(p99)), "samples": len(samples)}


def _spread(spread: Spread, middle: str, high: str) -> dict[str, float | int | None]:
    return {middle: _ms(spread.middle), high: _ms(spread.high), "count": spread.count}


def _ms(value: float | None) -> float | None:
    return None if value is None else round(float(value), 2)


def _machine() -> dict[str, Any]:
    return {
        "cpu": _cpu_name(),
        "cores": len(os.sched_getaffinity(0)),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def _cpu_name() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.machine()
