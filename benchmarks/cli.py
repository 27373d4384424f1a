"""`forno bench WHAT`: one literal table of benchmarks."""

from __future__ import annotations

import sys
from importlib import import_module

#: name -> (module:function, one line of help). Loaded only when called.
BENCHES: dict[str, tuple[str, str]] = {
    "borders": ("benchmarks.borders.cli:main", "what a border through a city costs, with borrowing and without"),
    "scale": ("benchmarks.scale.cli:main", "what a planet needs; 4,000 cities on 200 shards in virtual time"),
    "dispatch": ("benchmarks.dispatch.cli:main", "quality on MDRPLib instances and tick speed, against the published"),
    "eta": ("benchmarks.eta.cli:main", "ETAs and learned travel times on held-back simulated days"),
    "move": ("benchmarks.move.cli:main", "a city moved again and again under riders, orders and watchers"),
    "motion": ("benchmarks.motion.cli:main", "fixes, index, pushes and fix to screen, beside gRPC, Redis, websockets"),
    "page": ("benchmarks.page:main", "the figures of recorded runs as one page"),
    "orders": ("benchmarks.orders.cli:main", "orders placed a second, latencies and the lag of the outbox"),
    "soak": ("benchmarks.motion.soak:main", "ten minutes with 1,000 riders: latencies and memory do not drift"),
}


def main(argv: list[str]) -> int:
    """Run a benchmark; 0 if every figure meets its target, 1 if one falls short, 2 for bad words."""
    if not argv or argv[0] not in BENCHES:
        lines = [f"  {name}  {about}" for name, (_, about) in BENCHES.items()]
        print("\n".join(["usage: forno bench WHAT [ARGUMENTS]", "", *lines]), file=sys.stderr)
        return 0 if argv and argv[0] in ("-h", "--help") else 2
    module, _, function = BENCHES[argv[0]][0].partition(":")
    code: int = getattr(import_module(module), function)(argv[1:])
    return code
