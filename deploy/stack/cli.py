"""`forno up`: the local stack until Ctrl-C."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
from pathlib import Path

from rich.console import Console

from deploy.stack.errors import StackError
from deploy.stack.servers.kafka import broker_from
from deploy.stack.services import SERVICES
from deploy.stack.stack import LocalStack
from deploy.stack.table import Screen
from node import arguments
from node.running import registered

DEFAULT_FOLDER = Path(".forno")


def main(argv: list[str]) -> int:
    """Run the stack. 0 when it was asked to stop, 1 when it failed, 2 when it was asked for nonsense."""
    parser = arguments.Parser(prog="forno up", description="Real servers and the Forno services, on this machine.")
    parser.add_argument(
        "--dir", type=arguments.new_folder, default=DEFAULT_FOLDER, help="the stack's own folder (default: .forno)"
    )
    parser.add_argument(
        "--kafka", choices=("apache", "embedded"), help="the broker (default: $FORNO_KAFKA or embedded)"
    )
    parser.add_argument("--servers-only", action="store_true", help="no Forno services")
    parser.add_argument("--fail-fast", action="store_true", help="end with the reason when anything dies")
    parser.add_argument("--json", action="store_true", help="when all is up, print stack.json on standard output")
    options = parser.parse_args(argv)
    try:
        asyncio.run(_up(options))
    except StackError as error:
        print(f"forno up: {error}", file=sys.stderr)
        return 1
    return 0


async def _up(options: argparse.Namespace) -> None:
    me = asyncio.current_task()
    assert me is not None
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()

    def stop_once() -> None:
        if not stop.is_set():
            stop.set()
            me.cancel()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop_once)
    console = Console(stderr=options.json)  # with --json standard output is for the machine
    with Screen(console) as screen:
        stack = LocalStack(
            options.dir,
            kafka=options.kafka or broker_from(os.environ),
            fail_fast=options.fail_fast,
            services=() if options.servers_only else SERVICES,
            on_change=screen.show,
        )
        try:
            with registered("forno up", options.dir):
                async with stack:
                    screen.ready(stack.manifest())
                    if options.json:
                        print(json.dumps(stack.manifest().as_json()), flush=True)
                    await asyncio.Event().wait()
        except asyncio.CancelledError:
            if not stop.is_set():
                raise
