"""`forno log dump`: a recorded stretch of a living city, for `forno replay --log`."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys

from dispatch.recording.dump import DumpRequest, dump
from dispatch.recording.recording import write_recording
from node import arguments
from node.errors import FornoError
from node.running import of_a_stack, setting
from node.settings import NodeSettings

#: As a new owner rereads the fixes before its cut, wall seconds.
_REWIND_S = 600


def main(argv: list[str]) -> int:
    """Runs `forno log …` and returns its exit code."""
    parser = arguments.Parser(prog="forno log", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("poison", add_help=False, help="messages that were set aside: list, retry, drop")
    verb = verbs.add_parser(
        "dump", parents=[of_a_stack()], help="write a city's two input logs and its ticks to a file"
    )
    verb.add_argument("city", type=arguments.name, help="slug of the city, as `forno shards list` shows it")
    verb.add_argument("file", type=arguments.new_file, help="the file to write, by custom CITY.forno")
    verb.add_argument(
        "--minutes",
        type=arguments.number(0.01, 1_000_000),
        help="the last so many wall minutes (default: all there is)",
    )
    verb.add_argument("--postgres", help="URL of Postgres (default: of the running stack)")
    verb.add_argument("--kafka", type=arguments.address, help="host:port of Kafka (default: the same)")
    verb.add_argument("--json", action="store_true", help="print one JSON object")
    words = parser.parse_args(argv)
    try:
        return asyncio.run(_dump(words))
    except (FornoError, OSError) as error:
        print(f"forno log: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


async def _dump(words: argparse.Namespace) -> int:
    core_url = NodeSettings(postgres_url=setting("postgres_url", words.postgres, words.dir)).core_url
    wanted = DumpRequest(words.city, words.minutes, _REWIND_S)
    recording = await dump(core_url, setting("kafka_url", words.kafka, words.dir), wanted, _say)
    write_recording(words.file, recording)
    first, last = recording.ticks[0], recording.ticks[-1]
    summary = {
        "file": str(words.file),
        "city": recording.city,
        "ticks": len(recording.ticks),
        "domain_s": (last.now_ms - first.now_ms) / 1000,
        "events": len(recording.events),
        "batches_of_fixes": len(recording.pings),
        "bytes": words.file.stat().st_size,
    }
    print(json.dumps(summary) if words.json else f"{words.file}: {summary['ticks']} ticks, {summary['bytes']:,} bytes")
    return 0


def _say(text: str) -> None:
    print(text, file=sys.stderr)
