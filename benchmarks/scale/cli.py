"""`forno bench scale [--json FILE]`: what a planet needs, and a control plane of 4,000 cities on 200 shards.

`--from FILE` takes the figures of an earlier run instead of measuring; `--page FILE` writes docs/scale.md of them.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.record import Figure, at_most, conclude, document, report_of
from benchmarks.scale.control import storm
from benchmarks.scale.costs import Costs, measure_costs
from benchmarks.scale.database import measure_map, row_bytes
from benchmarks.scale.model import Planet, needs, stores
from benchmarks.scale.page import page
from benchmarks.scale.rebalance import rebalance
from node import arguments
from node.documents import BadDocument

CITIES, SHARDS = 4_000, 200
KILLED = (1, 20, 100)
#: DESIGN §8: from the death of a shard until each of its cities decides again. Of more shards at once it says nothing.
OWNED_S = 5.0
#: A map that is sent whole with each change must stay small enough for it, bytes.
MAP_BYTES = 2_000_000


def main(argv: list[str]) -> int:
    """0 if every figure meets its target, 1 if not."""
    parser = arguments.Parser(prog="forno bench scale", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cities", type=arguments.whole(1, 100_000), default=CITIES)
    parser.add_argument("--shards", type=arguments.whole(2, 10_000), default=SHARDS)
    parser.add_argument(
        "--json", type=arguments.new_file, metavar="FILE", help="write all figures here, and a plot beside it"
    )
    parser.add_argument(
        "--from", type=arguments.file, metavar="FILE", dest="recorded", help="an earlier run, not measured anew"
    )
    parser.add_argument("--page", type=arguments.new_file, metavar="FILE", help="write the page of these figures here")
    words = parser.parse_args(argv)
    if words.recorded is not None:
        try:
            with report_of(words.recorded) as report:
                return _written(words, report, all(figure["met"] for figure in report["summary"].values()))
        except BadDocument as error:
            print(f"forno bench scale: {error}", file=sys.stderr)
            return 2
    figures, sections = measure(words.cities, words.shards)
    report = document(figures, sections)
    return _written(words, report, conclude(figures, report, words.json) == 0)


def _written(words: argparse.Namespace, report: dict[str, Any], met: bool) -> int:
    """Writes the plot and the page that were asked for; the exit code."""
    if words.json is not None:
        _plot(report, words.json.with_suffix(".png"))
    if words.page is not None:
        words.page.write_text(page(report), encoding="utf-8")
    return 0 if met else 1


def measure(cities: int, shards: int) -> tuple[list[Figure], dict[str, Any]]:
    """Costs of this machine, the planet on them, and the storms."""
    begun_s = time.monotonic()

    def tell(text: str) -> None:
        print(f"{time.monotonic() - begun_s:6.1f} s  {text}", file=sys.stderr, flush=True)

    planet = Planet(cities=cities)
    tell("the rows of orders and ticks on Postgres")
    costs = asyncio.run(measure_costs(tell, asyncio.run(row_bytes())))
    tell("the map on Postgres")
    map_ = asyncio.run(measure_map(cities, shards, planet.riders))
    storms = []
    for killed in KILLED:
        tell(f"{killed} of {shards} shards die")
        storms.append(storm(cities, shards, planet.riders, killed, map_.calls()))
    tell("rebalancing")
    moves = rebalance(cities, shards, planet.riders)
    one, tenth, half = storms
    lost = round(tenth.claims_lost / max(1, tenth.claims), 3)
    figures = [
        at_most("until every city runs again, a shard died", one.owned_s, OWNED_S, "s"),
        *(Figure(f"until every city runs again, {s.killed} shards died", s.owned_s, "s") for s in (tenth, half)),
        at_most(f"claims lost to another shard, {tenth.killed} died", lost, 0.5, "of all"),
        at_most("the map, sent whole", map_.map_bytes, MAP_BYTES, "bytes"),
        at_most("fullest shard over the mean, after a plan", moves["max_over_mean_after"], 1.25, "times"),
    ]
    return figures, {
        "planet": asdict(planet) | {"riders": planet.riders, "watchers": planet.watchers},
        "costs": asdict(costs),
        "map": asdict(map_),
        "storms": [asdict(one) for one in storms],
        "rebalance": moves,
        **arithmetic(costs, planet),
    }


def arithmetic(costs: Costs, planet: Planet) -> dict[str, Any]:
    """The tables of the planet."""
    return {
        "needs": [asdict(need) for need in needs(costs, planet)],
        "stores": [asdict(store) for store in stores(costs, planet)],
    }


def _plot(report: dict[str, Any], path: Path) -> None:
    try:
        from benchmarks.scale.plot import draw
    except ImportError:
        print("no plot: matplotlib is not installed (`make bench` installs it)", file=sys.stderr)
        return
    draw(report, path)
