"""`forno token`: development tokens, signed with the key of the running stack."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

from node.tokens import TokenSigner

_SETTING = "FORNO_JWT_PRIVATE_KEY_FILE"
_KINDS = "rider: the rider's number (needs --city) | user: any name | order: the order's id | ops: any name"


def main(argv: list[str]) -> int:
    """Prints a token."""
    parser = argparse.ArgumentParser(prog="forno token", description="Prints a development token.")
    parser.add_argument("kind", choices=("rider", "user", "order", "ops"), help=_KINDS)
    parser.add_argument("id", help="who or what the token is for")
    parser.add_argument("--city", default="", help="home city of a rider, city of an order")
    parser.add_argument("--ttl", type=int, default=24 * 3600, metavar="S", help="life in seconds (default: a day)")
    parser.add_argument("--key", type=Path, help="PEM file of the signing key (default: that of the stack in --dir)")
    parser.add_argument(
        "--dir", type=Path, default=Path(".forno"), help="folder of the running stack (default: .forno)"
    )
    words = parser.parse_args(argv)
    key = words.key or _key_of_stack(words.dir)
    if key is None:
        parser.error(f"no key: no stack runs in {words.dir}; give --dir, --key, or set {_SETTING}")
    if words.kind == "rider" and (not words.city or not words.id.isdecimal()):
        parser.error("a rider's token needs a number and --city")
    claims = {"city": words.city} if words.city else {}
    print(TokenSigner(key).sign(words.kind, words.id, ttl_s=words.ttl, **claims))
    return 0


def _key_of_stack(folder: Path) -> Path | None:
    """The key of the environment, or of the stack that runs in the folder."""
    if found := os.environ.get(_SETTING):
        return Path(found)
    try:
        manifest = json.loads((folder / "stack.json").read_text())
        return Path(manifest["env"][_SETTING])
    except (OSError, ValueError, KeyError):
        return None
