"""What `forno demo` can be told."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from deploy.stack.servers.kafka import Broker, broker_from

#: Domain seconds a wall second: a delivery of a quarter of an hour takes half a minute to watch.
SPEED = 30.0
INSTANCE_SPEED = 60.0
#: Positions older than 60 domain seconds are stale, and a rider sends two fixes a wall second at most.
MAX_SPEED = 60.0


@dataclass(frozen=True, slots=True)
class Options:
    """The command line, checked."""

    seconds: float | None
    headless: bool
    report: Path | None
    seed: int
    speed: float
    riders: int
    orders_per_hour: float
    kafka: Broker
    instance: Path | None
    folder: Path | None


def parse(argv: list[str]) -> Options:
    """Reads the words after `forno demo`; exits with 2 for bad ones. Raises `StackError` for a bad FORNO_KAFKA."""
    parser = _parser()
    args = parser.parse_args(argv)
    if args.headless and args.seconds is None and args.instance is None:
        parser.error("--headless needs --seconds: nobody would see it, and it would never end")
    if args.instance is not None and not (args.instance / "orders.txt").is_file():
        parser.error(f"--instance {args.instance}: no orders.txt there, so not an MDRPLib instance")
    if why_not := _no_report(args.report) or _no_folder(args.dir):
        parser.error(why_not)
    speed = args.speed or (INSTANCE_SPEED if args.instance else SPEED)
    return Options(
        seconds=args.seconds,
        headless=args.headless,
        report=args.report,
        seed=args.seed,
        speed=speed,
        riders=args.riders,
        orders_per_hour=args.orders_per_hour,
        kafka=args.kafka or broker_from(os.environ),
        instance=args.instance,
        folder=args.dir,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="forno demo",
        description="The whole system on this machine and two cities that live in it: riders, kitchens, customers.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--seconds", type=_within(1, 86400), metavar="N", help="end by itself after N wall seconds; else at Ctrl-C")
    add("--headless", action="store_true", help="plain lines instead of the live summary")
    add("--report", type=Path, metavar="FILE", help="write what happened as JSON")
    add("--seed", type=int, default=1, help="of the city: restaurants, riders, customers and their luck")
    add("--speed", type=_within(1, MAX_SPEED), metavar="X", help="domain seconds a wall second (30; instance: 60)")
    add("--riders", type=_count, default=80, metavar="N", help="riders, over both cities")
    add(
        "--orders-per-hour",
        type=_within(1, 100_000),
        default=240.0,
        metavar="N",
        help="at the peak, in all, per domain hour",
    )
    add("--kafka", choices=get_args(Broker), help="which broker (else FORNO_KAFKA, else embedded)")
    add("--instance", type=Path, metavar="DIR", help="play an MDRPLib instance instead of the cities")
    add("--dir", type=Path, metavar="DIR", help="new folder for data and logs, kept; else one that is removed")
    return parser


def _no_report(path: Path | None) -> str:
    """Why the report could not be written there, said before the run rather than after it; empty: it can."""
    if path is None:
        return ""
    if path.is_dir():
        return f"--report {path}: is a folder, give a file"
    if not path.absolute().parent.is_dir():
        return f"--report {path}: there is no folder {path.absolute().parent}"
    if not os.access(path if path.exists() else path.absolute().parent, os.W_OK):
        return f"--report {path}: cannot be written"
    return ""


def _no_folder(path: Path | None) -> str:
    """Why the run cannot live there; empty: it can. An earlier run's city has another clock and other riders."""
    if path is None or not path.exists():
        return ""
    if not path.is_dir():
        return f"--dir {path}: is no folder"
    if any(path.iterdir()):
        return f"--dir {path}: is not empty (an earlier run?), give a new folder"
    return ""


def _within(low: float, high: float) -> Callable[[str], float]:
    def number(text: str) -> float:
        value = float(text)
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"must be within {low:g}..{high:g}, got {text}")
        return value

    return number


def _count(text: str) -> int:
    value = int(text)
    if not 2 <= value <= 2000:
        raise argparse.ArgumentTypeError(f"must be within 2..2000, got {text}")
    return value
