"""Places orders at a rate (or as fast as it goes) against a running order service, and says how long that took.

    python -m benchmarks.orders.place HOST:PORT --seconds 10 --rate 200

The generator runs beside the service; its own CPU is part of what the machine spends.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
import uuid
from dataclasses import dataclass, field

import grpc.aio
import numpy as np
import uvloop

from node import arguments
from proto.common.v1.types_pb2 import LatLng, Money
from proto.orders.v1 import orders_pb2 as pb
from proto.orders.v1.orders_pb2_grpc import OrdersStub


def request(number: int, city: str, currency: str, token: str) -> pb.PlaceRequest:
    """A small order of one of 5,000 customers."""
    restaurant = pb.Restaurant(
        restaurant_id=f"r-{number % 40}", name="Forno", at=LatLng(lat_e7=-299_020_000, lng_e7=-712_520_000)
    )
    restaurant.preparation_s = 600
    item = pb.Item(sku="margherita", name="Margherita", quantity=2, price=Money(minor=4500, currency=currency))
    basket = pb.Basket(
        city=city, restaurant=restaurant, dropoff=LatLng(lat_e7=-299_100_000, lng_e7=-712_510_000), items=[item]
    )
    return pb.PlaceRequest(
        user_id=f"customer-{number % 5000}", idempotency_key=uuid.uuid4().hex, basket=basket, payment_token=token
    )


@dataclass(slots=True)
class Run:
    """Orders placed, with their latencies and errors."""

    latencies_ms: list[float] = field(default_factory=list)
    failed: int = 0

    def report(self, seconds: float) -> dict[str, float]:
        """Rate and latencies."""
        times = np.array(self.latencies_ms or [0.0])
        return {
            "placed": len(self.latencies_ms),
            "failed": self.failed,
            "placed_per_s": round(len(self.latencies_ms) / seconds, 1),
            **{f"p{q}_ms": round(float(np.percentile(times, q)), 2) for q in (50, 90, 99)},
            "max_ms": round(float(times.max()), 2),
        }


async def place(stub: OrdersStub, what: pb.PlaceRequest, due_s: float, run: Run) -> None:
    """Places one order; its latency counts from when it was due, so that a stall is not hidden."""
    try:
        await stub.Place(what, timeout=10)  # type: ignore[misc]
    except grpc.aio.AioRpcError:
        run.failed += 1
    else:
        run.latencies_ms.append(1000 * (time.perf_counter() - due_s))


async def open_loop(stub: OrdersStub, words: argparse.Namespace, run: Run) -> None:
    """Orders come at the rate, whether or not the ones before are done."""
    async with asyncio.TaskGroup() as group:
        began_s = time.perf_counter()
        for number in range(int(words.rate * words.seconds)):
            due_s = began_s + number / words.rate
            await asyncio.sleep(max(0.0, due_s - time.perf_counter()))
            group.create_task(place(stub, request(number, words.city, words.currency, words.token), due_s, run))


async def closed_loop(stub: OrdersStub, words: argparse.Namespace, run: Run) -> None:
    """Run so many customers that place one order after the other."""
    until_s = time.perf_counter() + words.seconds

    async def customer(first: int) -> None:
        number = first
        while time.perf_counter() < until_s:
            what = request(number, words.city, words.currency, words.token)
            await place(stub, what, time.perf_counter(), run)
            number += words.customers

    await asyncio.gather(*(customer(number) for number in range(words.customers)))


async def measure(words: argparse.Namespace) -> dict[str, float]:
    """Runs one measurement."""
    run = Run()
    async with grpc.aio.insecure_channel(words.address) as channel:
        stub = OrdersStub(channel)
        began_s = time.perf_counter()
        await (open_loop if words.rate else closed_loop)(stub, words, run)
        return run.report(time.perf_counter() - began_s)


def main() -> int:
    """Prints one line of JSON."""
    parser = arguments.Parser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("address", type=arguments.address, help="host:port of the order service")
    parser.add_argument("--seconds", type=arguments.number(0.1, arguments.MAX_SECONDS), default=10)
    parser.add_argument(
        "--rate", type=arguments.number(0, 1_000_000), default=0, help="orders a second; 0: as fast as the customers go"
    )
    parser.add_argument(
        "--customers", type=arguments.whole(1, 100_000), default=64, help="customers at a time, where no rate is given"
    )
    parser.add_argument("--city", default="la-serena")
    parser.add_argument("--currency", default="CLP")
    parser.add_argument("--token", default="tok_ok")
    print(json.dumps(uvloop.run(measure(parser.parse_args()))))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
