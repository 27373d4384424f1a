"""`python -m benchmarks.load`: a local stack of its own, locust on it for a while, the figures, and away."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from deploy.stack.errors import StackError
from deploy.stack.servers.kafka import broker_from
from deploy.stack.services import SERVICES
from deploy.stack.stack import LocalStack
from node import arguments
from node.table import Number, show
from simulator.demo.scenes import EVENING_ZONE, patient
from simulator.demo.town import start_of_evening

_LOCUSTFILE = Path(__file__).with_name("locustfile.py")
#: The city's clock: fast enough for whole deliveries within half a minute.
_SPEED = 30.0
_CITY = "la-serena"


def main(argv: list[str]) -> int:
    """Runs the load test; 0 when nothing failed."""
    parser = arguments.Parser(prog="python -m benchmarks.load", description=__doc__)
    parser.add_argument(
        "--seconds", type=arguments.whole(1, arguments.MAX_SECONDS), default=30, help="how long the load lasts"
    )
    parser.add_argument(
        "--users",
        type=arguments.whole(2, 100_000),
        default=60,
        help="in all; a fifth of them order and watch, the others ride",
    )
    parser.add_argument(
        "--kafka", choices=("apache", "embedded"), help="which broker (else FORNO_KAFKA, else embedded)"
    )
    parser.add_argument("--json", type=arguments.new_file, metavar="FILE", help="save the figures")
    options = parser.parse_args(argv)
    try:
        return asyncio.run(_load(options))
    except StackError as error:
        print(f"load: {error}", file=sys.stderr)
        return 1


async def _load(options: argparse.Namespace) -> int:
    now_ms = time.time_ns() // 1_000_000
    with tempfile.TemporaryDirectory(prefix="forno-load-") as name:
        folder = Path(name)
        params = folder / "params.json"
        params.write_text(json.dumps(patient(_SPEED)))
        settings = {
            "FORNO_CLOCK_SPEED": str(_SPEED),
            "FORNO_CLOCK_ANCHOR_WALL_MS": str(now_ms),
            # Riders work at dinner: twenty o'clock in the city.
            "FORNO_CLOCK_ANCHOR_DOMAIN_MS": str(start_of_evening(now_ms, EVENING_ZONE)),
            "FORNO_CITIES": _CITY,
            "FORNO_PARAMS_FILE": str(params),
        }
        print("starting servers and services …", flush=True)
        broker = options.kafka or broker_from(os.environ)
        async with LocalStack(folder / "stack", kafka=broker, services=SERVICES, settings=settings) as stack:
            code, rows = await _locust(options, {**os.environ, **stack.env}, folder)
    _show(rows)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2) + "\n")
    return code


async def _locust(options: argparse.Namespace, env: dict[str, str], folder: Path) -> tuple[int, list[dict[str, Any]]]:
    """Locust in a process of its own: gevent patches the whole interpreter."""
    stats = folder / "locust"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "locust", "-f", str(_LOCUSTFILE), "--headless", "--only-summary",
        "--host", env["FORNO_GATEWAY_URL"], "--users", str(options.users), "--spawn-rate", str(options.users / 4),
        "--run-time", f"{options.seconds}s", "--stop-timeout", "5", "--json-file", str(stats),
        env=env,
    )  # fmt: skip
    try:
        async with asyncio.timeout(options.seconds + 90):
            code = await process.wait()
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGKILL)
            await process.wait()
    file = stats.with_suffix(".json")
    return code, json.loads(file.read_text()) if file.exists() else []


def _show(rows: list[dict[str, Any]]) -> None:
    cells = []
    for row in rows:
        times = sorted((float(ms), count) for ms, count in row["response_times"].items())
        rate = row["num_requests"] / max(1e-9, (row["last_request_timestamp"] or 0) - row["start_time"])
        middle, high, higher = (_percentile(times, share) for share in (0.5, 0.95, 0.99))
        figures = [str(row["num_requests"]), str(row["num_failures"])]
        figures += [*(f"{ms:.0f}" for ms in (middle, high, higher)), f"{rate:.1f}"]
        cells.append([f"{row['method']} {row['name']}", *figures])
    numbers = map(Number, ("count", "failures", "p50 ms", "p95 ms", "p99 ms", "per s"))
    show("Load", ("what", *numbers), cells)


def _percentile(times: list[tuple[float, int]], share: float) -> float:
    """A percentile from counts by (rounded) time."""
    left = share * sum(count for _, count in times)
    for ms, count in times:
        left -= count
        if left <= 0:
            return ms
    return times[-1][0] if times else 0.0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
