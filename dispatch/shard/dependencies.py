"""The ports and settings that all cities of a shard share."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from dispatch.engine.forwarding import Forward, no_neighbours
from dispatch.engine.params import EngineParams
from dispatch.logs.ports import CityLogs
from dispatch.shard.lessons import LessonStore
from dispatch.shard.live_city import LiveCity
from dispatch.shard.ports import Announcements, DecisionLog
from dispatch.shard.solver import Solving
from node.clock import Clock
from node.outbox.message import Outbox, Publisher

#: Named long-lived views of a city, each to be run as a task of its own.
Views = Callable[[LiveCity], Sequence[tuple[str, Coroutine[Any, Any, None]]]]


@dataclass(frozen=True, slots=True)
class Dependencies:
    """Ports and settings of a `CityRunner`; made once by `dispatch.boot`."""

    clock: Clock
    log: structlog.stdlib.BoundLogger
    solver: Solving
    params: EngineParams
    logs_of: Callable[[str], CityLogs]
    decision_log: DecisionLog
    lessons: LessonStore
    outbox_of: Callable[[str], Outbox]
    publisher: Publisher
    announcements: Announcements
    views_of: Views
    tick_period_ms: int
    forward: Forward = no_neighbours
