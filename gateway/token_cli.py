"""`forno token`: development tokens, signed with the key of the running stack."""

from __future__ import annotations

import argparse
from pathlib import Path

from node import arguments
from node.running import of_a_stack, setting
from node.tokens import TokenSigner
from shard_router.cities.catalogue import load_cities

_KINDS = (
    "rider: the rider's number (needs --city) | restaurant: its id (needs --city) | user: any name"
    " | order: the order's id | ops: any name"
)

_MAX_TTL_S = 365 * 24 * 3600


def main(argv: list[str]) -> int:
    """Prints a token."""
    parser = arguments.Parser(prog="forno token", description="Prints a development token.", parents=[of_a_stack()])
    parser.add_argument("kind", choices=("rider", "restaurant", "user", "order", "ops"), help=_KINDS)
    parser.add_argument("id", type=arguments.name, help="who or what the token is for")
    parser.add_argument("--city", default="", help="home city of a rider, city of a restaurant or an order")
    parser.add_argument(
        "--ttl",
        type=arguments.whole(1, _MAX_TTL_S),
        default=24 * 3600,
        metavar="S",
        help="life in seconds (default: a day)",
    )
    parser.add_argument(
        "--key", type=arguments.file, help="PEM file of the signing key (default: of the running stack)"
    )
    words = parser.parse_args(argv)
    if words.kind == "rider":
        words.id = _rider_number(words.id)
    if words.kind == "rider" and (not words.city or not words.id):
        parser.error(f"a rider's token needs a number and --city, and the number within 1..{arguments.MAX_RIDER}")
    if words.kind == "restaurant" and not words.city:
        parser.error("a restaurant's token needs --city")
    if words.city and words.city not in (cities := [city.slug for city in load_cities()]):
        parser.error(f"there is no city {words.city!r}; there are {', '.join(cities)}")
    claims = {"city": words.city} if words.city else {}
    key = words.key or Path(setting("jwt_private_key_file", folder=words.dir))
    print(TokenSigner(key).sign(words.kind, words.id, ttl_s=words.ttl, **claims))
    return 0


def _rider_number(text: str) -> str:
    """The rider's number as it is stored, without leading zeros; empty if it is none."""
    try:
        return str(arguments.whole(1, arguments.MAX_RIDER)(text))
    except argparse.ArgumentTypeError:
        return ""
