"""A city on this shard, and whether it is followed, loading or running."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from enum import StrEnum

from dispatch.shard.runner import CityRunner
from dispatch.shard.shadow import Shadow


class HostState(StrEnum):
    """State of a city on this shard."""

    FOLLOWING = "following"
    LOADING = "loading"
    RUNNING = "running"


@dataclass(slots=True)
class HostedCity:
    """One city in memory: its shadow while it is followed, its runner while it runs."""

    state: HostState
    shadow: Shadow | None = None
    runner: CityRunner | None = None
    #: Set when it runs or could not be loaded.
    loaded: asyncio.Event = field(default_factory=asyncio.Event)
