"""`forno bench eta [--json FILE] [--seed N] [--history N] [--days N] [--jobs N]`."""

from __future__ import annotations

import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from benchmarks.eta.held_back_days import Played, score_city
from benchmarks.eta.plot import plot
from benchmarks.eta.quotes import SPEEDS_ALONE, Leg, ScoredQuote
from benchmarks.eta.scoring import leg_figures, quotes_of, stage_figures, targets
from benchmarks.eta.simulated_days import WorldParams
from benchmarks.record import conclude, document
from dispatch.engine.eta.calibration import Stage
from node import arguments

_CITIES = ("la-serena", "coquimbo")
_DESKS = ("learned", "free flow", "road", "uncalibrated")


def main(argv: list[str]) -> int:
    """0 if every target is met, 1 if not."""
    parser = arguments.Parser(prog="forno bench eta", description="ETAs and travel times on held-back simulated days.")
    parser.add_argument(
        "--json", type=arguments.new_file, metavar="FILE", help="write all figures here, and a picture beside it"
    )
    parser.add_argument(
        "--seed",
        type=arguments.whole(0, arguments.MAX_ID),
        default=1,
        help="another world: streets, cells, weather, people",
    )
    parser.add_argument(
        "--history",
        type=arguments.whole(1, 1000),
        default=4,
        metavar="DAYS",
        help="ordinary days to learn from, a city",
    )
    parser.add_argument(
        "--days", type=arguments.whole(1, 1000), default=4, metavar="DAYS", help="held-back days to judge, a city"
    )
    parser.add_argument(
        "--jobs", type=arguments.whole(1, 1024), default=os.cpu_count() or 1, help="processes (default: one a core)"
    )
    args = parser.parse_args(argv)
    if args.history < 1 or args.days < 1:
        parser.error("--history and --days must be at least 1")
    began_s = time.perf_counter()
    worlds = [WorldParams(city, args.seed) for city in _CITIES]
    with ProcessPoolExecutor(min(args.jobs, len(worlds)), mp_context=get_context("spawn")) as pool:
        played = list(pool.map(score_city, worlds, [args.history] * len(worlds), [args.days] * len(worlds)))
    judged = [j for city in played for j in city.judged]
    legs = [leg for city in played for leg in city.legs]
    figures = targets(judged, legs)
    report = document(figures, *_found(played, judged, legs, time.perf_counter() - began_s))
    _show(report)
    if args.json is not None:
        _picture(judged, legs, args.json.with_suffix(".png"))
    return conclude(figures, report, args.json)


def _found(
    played: list[Played], judged: list[ScoredQuote], legs: list[Leg], wall_s: float
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The sections of the report, and what its summary tells beside the targets."""
    quotes = {
        model: {str(stage): stage_figures(quotes_of(judged, model, stage)) for stage in Stage} for model in _DESKS
    }
    ways = leg_figures(legs)
    alone_s, free_flow_s = ways[f"{SPEEDS_ALONE} mae_s"], ways["free flow mae_s"]
    own = quotes["learned"]
    summary: dict[str, Any] = {f"under_p90_{stage}": own[str(stage)]["under_p90"] for stage in Stage}
    summary |= {f"mae_{stage}_s": own[str(stage)]["mae_s"] for stage in Stage}
    summary |= {f"pinball90_{stage}_s": own[str(stage)]["pinball90_s"] for stage in Stage}
    summary |= {
        "ways_mae_s": ways["learned mae_s"],
        "ways_mae_free_flow_s": free_flow_s,
        "ways_mae_below_free_flow_pct": round(100 * (1 - ways["learned mae_s"] / free_flow_s), 1),
        "ways_mae_speeds_alone_s": alone_s,
        "ways_mae_speeds_alone_below_free_flow_pct": round(100 * (1 - alone_s / free_flow_s), 1),
        "ways_mae_road_s": ways["road mae_s"],
        "orders": own[str(Stage.CARRIED)]["quotes"],
        "wall_s": round(wall_s, 1),
        "cpu_s": round(sum(city.cpu_s for city in played), 1),
    }
    sections = {
        "quotes": quotes,
        "ways": ways,
        "weather": {day: words for city in played for day, words in city.weather.items()},
        "learned": {city.city: city.learned for city in played},
    }
    return sections, summary


def _show(report: dict[str, Any]) -> None:
    for day, words in report["weather"].items():
        print(f"{day}: {words}")
    for model, stages in report["quotes"].items():
        for stage, f in stages.items():
            print(
                f"{model:<13} {stage:<9} under p90 {f['under_p90']:.3f} (rain {f['under_p90_in_rain']:.3f}, slow riders"
                f" {f['under_p90_slow_riders']:.3f})  under median {f['under_median']:.3f}  mae {f['mae_s']:6.1f} s"
                f"  pinball90 {f['pinball90_s']:5.1f} s  p90 is {f['p90_after_median_s']:5.0f} s after the median"
            )
    for name, value in report["ways"].items():
        print(f"ways: {name:<24} {value}")


def _picture(judged: list[ScoredQuote], legs: list[Leg], file: Path) -> None:
    try:
        plot(judged, legs, file)
    except ImportError:
        print("no picture: matplotlib is not installed (`uv sync --group bench`)", file=sys.stderr)
