"""Screen of the person at the terminal: steps while it sets up, then the city in a few lines."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from node.table import Number, lines


@dataclass(frozen=True, slots=True)
class CityLine:
    """A city, now."""

    city: str
    shard: str
    epoch: int
    riders: int
    open_orders: int
    delivered: int
    tick_p99_ms: float


@dataclass(frozen=True, slots=True)
class Summary:
    """The run, now. `city_time` is the clock on the wall of the city's kitchens."""

    city_time: str
    elapsed_s: float
    left_s: float | None
    placed: int
    refused: int
    delivered: int
    fixes_sent: int
    fixes_waiting: int
    without_signal: int
    watching: int
    fix_age_p50_ms: float | None
    fix_age_p99_ms: float | None
    cities: Sequence[CityLine]


class Screen:
    """Writes to the terminal; plain lines when headless or when it is no terminal."""

    def __init__(self, console: Console, headless: bool) -> None:
        self._console = console
        self._plain = headless or not console.is_terminal
        self._live: Live | None = None
        self._printed_s = 0.0

    @contextmanager
    def step(self, what: str) -> Iterator[None]:
        """A step of the set-up: named while it runs, timed when it is done."""
        began_s = time.monotonic()
        if self._plain:
            self._console.print(f"… {what}")
            yield
        else:
            with self._console.status(what):
                yield
        self._console.print(f"[green]✓[/] {what} [dim]{time.monotonic() - began_s:.1f} s[/]")

    def say(self, text: str) -> None:
        """A line that stays."""
        self._console.print(text)

    def complain(self, text: str) -> None:
        """A line that stays and that must be seen."""
        self._console.print(Text(text, style="bold red"))

    @contextmanager
    def live(self) -> Iterator[None]:
        """The summary is kept on the screen inside."""
        if self._plain:
            yield
            return
        with Live(console=self._console, refresh_per_second=4, transient=True) as self._live:
            yield
        self._live = None

    def show(self, summary: Summary) -> None:
        """The newest summary; without a terminal, one line every five seconds."""
        if self._live is not None:
            self._live.update(picture(summary, self._console.width))
        elif time.monotonic() - self._printed_s >= 5:
            self._printed_s = time.monotonic()
            self._console.print(_line(summary))


def _line(s: Summary) -> str:
    return (
        f"{s.elapsed_s:5.0f} s  {s.city_time}  placed {s.placed}, delivered {s.delivered}, "
        f"fixes {s.fixes_sent} ({s.fixes_waiting} waiting), fix to screen {_age(s)}"
    )


def _age(s: Summary) -> str:
    if s.fix_age_p50_ms is None or s.fix_age_p99_ms is None:
        return "–"
    return f"{s.fix_age_p50_ms:.0f} / {s.fix_age_p99_ms:.0f} ms"


def picture(s: Summary, width: int) -> Group:
    """The run in a few lines that fit the terminal."""
    left = "until Ctrl-C" if s.left_s is None else f"{max(0.0, s.left_s):.0f} s left"
    facts = [
        ("city time", s.city_time, f"running {s.elapsed_s:.0f} s, {left}"),
        ("orders", f"{s.placed} placed", f"{s.delivered} delivered, {s.refused} refused"),
        ("fixes", f"{s.fixes_sent} sent", f"{s.fixes_waiting} waiting, {s.without_signal} riders without signal"),
        ("fix to screen", _age(s), f"p50 / p99 at {s.watching} open WebSockets"),
    ]
    numbers = map(Number, ("epoch", "riders", "open orders", "delivered", "tick p99"))
    cities = [
        [c.city, c.shard, *map(str, (c.epoch, c.riders, c.open_orders, c.delivered)), f"{c.tick_p99_ms:.0f} ms"]
        for c in s.cities
    ]
    bold = [(name, Text(figure, "bold"), more) for name, figure, more in facts]
    return Group(
        Text(), *lines("", ("", "", ""), bold, width), Text(), *lines("", ("city", "shard", *numbers), cities, width)
    )
