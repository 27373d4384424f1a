"""The `forno` command: one literal table of verbs. Each verb's function takes the rest of the words."""

from __future__ import annotations

import sys
from importlib import import_module

#: verb -> (module:function, one line of help). Loaded only when called.
VERBS: dict[str, tuple[str, str]] = {
    "demo": ("simulator.demo.cli:main", "a whole city on this machine, with a live map, until Ctrl-C"),
    "up": ("deploy.stack.cli:main", "the servers and every Forno service, without the simulated city"),
    "replay": (
        "simulator.replay.cli:main",
        "an MDRPLib instance, or a recorded stretch of a living city, in virtual time through the dispatch engine",
    ),
    "log": (
        "deploy.log_cli:main",
        "write a recorded stretch of a living city to a file; messages that were set aside (poison)",
    ),
    "shards": ("shard_router.cli:main", "which shard owns which city; move cities"),
    "cities": ("shard_router.cities.cli:main", "the cities and their borders; change a border while everything runs"),
    "db": ("deploy.database.cli:main", "the databases: apply migrations, show what is pending"),
    "orders": ("orders.cli:main", "an order, from its row or from the archive; move old months there"),
    "explain": ("dispatch.shard.explain:main", "why an order went to whom it went"),
    "trails": ("dispatch.trails.cli:main", "where a rider was, who was near a place, how far somebody drove"),
    "token": ("gateway.token_cli:main", "a development token"),
    "bench": ("benchmarks.cli:main", "measure, beside peers, against the targets"),
}


def usage() -> str:
    """The help text."""
    width = max(map(len, VERBS))
    lines = [f"  {verb:<{width}}  {about}" for verb, (_, about) in VERBS.items()]
    return "\n".join(["usage: forno VERB [ARGUMENTS]   (forno VERB --help tells more)", "", *lines])


def main(argv: list[str] | None = None) -> int:
    """Runs a verb and returns its exit code; 2 for an unknown one."""
    words = sys.argv[1:] if argv is None else argv
    if not words or words[0] in ("-h", "--help", "help"):
        print(usage())
        return 0 if words else 2
    if words[0] not in VERBS:
        print(f"forno: no verb {words[0]!r}\n\n{usage()}", file=sys.stderr)
        return 2
    module, _, function = VERBS[words[0]][0].partition(":")
    try:
        code: int = getattr(import_module(module), function)(words[1:])
    except KeyboardInterrupt:
        return 130
    return code


if __name__ == "__main__":
    sys.exit(main())
