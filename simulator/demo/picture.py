"""The picture of the live map in the README, taken of a running demo in a real browser.

    python -m simulator.demo.picture docs/live-map.png

Needs Chromium (or the name of another browser in CHROMIUM).
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from pathlib import Path

from node import arguments

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "gateway" / "web" / "screenshot.mjs"
#: Wall seconds the city lives before the picture: riders are on their way by then.
SETTLE_S = 45
#: The demo ends by itself if the browser never comes back.
DEMO_S = 240


async def take(out: Path) -> int:
    """Runs a demo, photographs its page, ends the demo; returns the browser script's exit code."""
    words = ("-m", "node.cli", "demo", "--seconds", str(DEMO_S), "--headless")
    # Plain and wide: the address must stand on one line.
    env = {**os.environ, "COLUMNS": "1000", "NO_COLOR": "1"}
    demo = await asyncio.create_subprocess_exec(
        sys.executable, *words, cwd=ROOT, env=env, stdout=asyncio.subprocess.PIPE
    )
    try:
        address = await _address(demo)
        print(f"waiting {SETTLE_S} s for the city to come alive")
        camera = await asyncio.create_subprocess_exec(
            "node", str(SCRIPT), address, str(out), "--settle", str(SETTLE_S), "--scale", "1.5"
        )
        return await camera.wait()
    finally:
        if demo.returncode is None:
            demo.send_signal(signal.SIGINT)
        await demo.communicate()


async def _address(demo: asyncio.subprocess.Process) -> str:
    assert demo.stdout is not None
    async for line in demo.stdout:
        text = line.decode().strip()
        print(text)
        if text.startswith("Live map: "):
            return text.removeprefix("Live map: ")
    raise SystemExit("the demo ended before its page was there")


def main() -> int:
    parser = arguments.Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=arguments.new_file, help="the PNG to write")
    return asyncio.run(take(parser.parse_args().out))


if __name__ == "__main__":
    sys.exit(main())
