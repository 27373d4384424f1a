"""`forno demo`."""

from __future__ import annotations

import asyncio
import signal
import sys

from rich.console import Console

from deploy.stack.errors import StackError
from node.errors import FornoError
from simulator.demo.options import Options, parse
from simulator.demo.run import Brake, demo
from simulator.demo.screen import Screen
from simulator.replay.errors import BadInstance


def main(argv: list[str]) -> int:
    """Runs a demo; 0: all that must hold held, 1: it did not, or it could not run, 130: ended during the set-up."""
    try:
        return asyncio.run(_run(parse(argv)))
    except (StackError, FornoError, BadInstance) as error:
        print(f"forno demo: {error}", file=sys.stderr)
        return 1
    except asyncio.CancelledError:
        print("forno demo: stopped before the city was up", file=sys.stderr)
        return 130


async def _run(options: Options) -> int:
    brake = Brake()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, brake.pull)
    return await demo(options, Screen(Console(highlight=False, soft_wrap=True), options.headless), brake)
