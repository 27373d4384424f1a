"""`forno token`: development tokens, signed with the key of the running stack."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from node.tokens import TokenSigner

_KINDS = "rider: the rider's number (needs --city) | user: any name | order: the order's id | ops: any name"


def main(argv: list[str]) -> int:
    """Prints a token."""
    parser = argparse.ArgumentParser(prog="forno token", description="Prints a development token.")
    parser.add_argument("kind", choices=("rider", "user", "order", "ops"), help=_KINDS)
    parser.add_argument("id", help="who or what the token is for")
    parser.add_argument("--city", default="", help="home city of a rider, city of an order")
    parser.add_argument("--ttl", type=int, default=24 * 3600, metavar="S", help="life in seconds (default: a day)")
    parser.add_argument(
        "--key",
        type=Path,
        default=os.environ.get("FORNO_JWT_PRIVATE_KEY_FILE"),
        help="PEM file of the signing key (default: $FORNO_JWT_PRIVATE_KEY_FILE)",
    )
    words = parser.parse_args(argv)
    if words.key is None:
        parser.error("no key: give --key FILE or set FORNO_JWT_PRIVATE_KEY_FILE")
    if words.kind == "rider" and (not words.city or not words.id.isdecimal()):
        parser.error("a rider's token needs a number and --city")
    claims = {"city": words.city} if words.city else {}
    print(TokenSigner(Path(words.key)).sign(words.kind, words.id, ttl_s=words.ttl, **claims))
    return 0
