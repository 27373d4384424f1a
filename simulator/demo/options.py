"""Options of `forno demo`."""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from deploy.stack.servers.kafka import Broker, broker_from
from node import arguments

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
    parser = arguments.Parser(
        prog="forno demo",
        description="The whole system on this machine and two cities that live in it: riders, kitchens, customers.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add(
        "--seconds",
        type=arguments.number(1, 86_400),
        metavar="N",
        help="end by itself after N wall seconds; else at Ctrl-C",
    )
    add("--headless", action="store_true", help="plain lines instead of the live summary")
    add("--report", type=arguments.new_file, metavar="FILE", help="write what happened as JSON")
    add(
        "--seed",
        type=arguments.whole(0, arguments.MAX_ID),
        default=1,
        help="of the city: restaurants, riders, customers and their luck",
    )
    add(
        "--speed",
        type=arguments.number(1, MAX_SPEED),
        metavar="X",
        help="domain seconds a wall second (30; instance: 60)",
    )
    add("--riders", type=arguments.whole(2, 2000), default=80, metavar="N", help="riders, over both cities")
    add(
        "--orders-per-hour",
        type=arguments.number(1, 100_000),
        default=240.0,
        metavar="N",
        help="at the peak, in all, per domain hour",
    )
    add("--kafka", choices=get_args(Broker), help="which broker (else FORNO_KAFKA, else embedded)")
    add("--instance", type=arguments.folder, metavar="DIR", help="play an MDRPLib instance instead of the cities")
    add("--dir", type=_empty_folder, metavar="DIR", help="new folder for data and logs, kept; else one that is removed")
    return parser


def _empty_folder(text: str) -> Path:
    """A new or empty folder: an earlier run's city has another clock and other riders."""
    path = arguments.new_folder(text)
    if path.exists() and any(path.iterdir()):
        raise argparse.ArgumentTypeError(f"{path} is not empty (an earlier run?), give a new folder")
    return path
