"""`forno bench motion [--only edge,index,…] [--json FILE]`: from a rider's fix to a customer's screen."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import uvloop

from benchmarks.motion import edge, fix_to_screen, growth, index, pushes
from benchmarks.record import Figure, conclude, document
from node import arguments

#: In this order; growth needs what pushes found.
SECTIONS = ("edge", "index", "pushes", "growth", "apache", "embedded")


def main(argv: list[str]) -> int:
    """0 if every figure reaches its target, 1 if one falls short, 2 for bad words."""
    parser = arguments.Parser(
        prog="forno bench motion",
        description="From a rider's fix to a customer's screen: each figure beside its target and its peer.",
    )
    parser.add_argument("--only", metavar="A,B", default=",".join(SECTIONS), help=f"of {','.join(SECTIONS)}")
    parser.add_argument(
        "--seconds",
        type=arguments.number(1, arguments.MAX_SECONDS),
        default=40,
        help="length of each fix-to-screen measurement",
    )
    parser.add_argument(
        "--json", type=arguments.new_file, metavar="FILE", help="write all figures here, and a plot beside it"
    )
    args = parser.parse_args(argv)
    wanted = args.only.split(",")
    if unknown := set(wanted) - set(SECTIONS):
        parser.error(f"--only: no section {', '.join(sorted(unknown))}; there are {', '.join(SECTIONS)}")
    begun_s = time.monotonic()

    def tell(text: str) -> None:
        print(f"{time.monotonic() - begun_s:6.1f} s  {text}", file=sys.stderr, flush=True)

    figures, sections = uvloop.run(measure(wanted, args.seconds, tell))
    report = document(figures, sections | {"seconds": round(time.monotonic() - begun_s)})
    if args.json is not None:
        _plot(report, args.json.with_suffix(".png"))
    return conclude(figures, report, args.json)


async def measure(
    wanted: Sequence[str], seconds: float, tell: Callable[[str], None]
) -> tuple[list[Figure], dict[str, Any]]:
    """The sections that are wanted, one after the other."""
    found: dict[str, Any] = {}
    figures: list[Figure] = []
    if "edge" in wanted:
        found["edge"] = await edge.measure(4.0, tell)
        figures += edge.figures(found["edge"])
    if "index" in wanted:
        found["index"] = await index.run(tell)
        figures += index.figures(found["index"])
    if "pushes" in wanted or "growth" in wanted:
        found["pushes"] = await pushes.measure(4.0, tell)
        figures += pushes.figures(found["pushes"])
    if "growth" in wanted:
        found["growth"] = await growth.measure(found["pushes"]["live"]["us_a_push"], tell)
        figures += growth.figures(found["growth"])
    if "apache" in wanted:
        found["apache"] = await fix_to_screen.fix_to_screen(fix_to_screen.Shape(), "apache", seconds, tell)
        figures += fix_to_screen.figures(found["apache"])
    if "embedded" in wanted:
        found["embedded"] = await fix_to_screen.fix_to_screen(fix_to_screen.Shape(), "embedded", seconds, tell)
        figures += fix_to_screen.figures(found["embedded"])
    return figures, found


def _plot(report: dict[str, Any], path: Path) -> None:
    try:
        from benchmarks.motion.plot import draw
    except ImportError:
        print("no plot: matplotlib is missing (`make bench`, or uv sync --group bench)", file=sys.stderr)
        return
    draw(report, path)
