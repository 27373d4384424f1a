"""`forno orders refund`: gives captured money back, by the running payments service."""

from __future__ import annotations

import argparse
import asyncio
import json
import secrets
import sys
import time
from typing import TYPE_CHECKING

import grpc.aio
from google.protobuf.json_format import MessageToDict

from node import arguments
from node.rpc import fault_of
from node.running import setting
from orders.ids import checked_order_id
from orders.text_checks import checked_key
from proto.common.v1.types_pb2 import Money
from proto.payments.v1 import payments_pb2 as pb
from proto.payments.v1.payments_pb2_grpc import PaymentsStub

if TYPE_CHECKING:
    from proto.payments.v1.payments_pb2_grpc import PaymentsAsyncStub

#: How long the provider is waited for; it is asked on without us.
PATIENCE_S = 15.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The words of the verb."""
    parser.add_argument("order", type=arguments.checked(checked_order_id), help="the order's id")
    parser.add_argument(
        "--amount",
        type=arguments.whole(1, arguments.MAX_ID),
        metavar="MINOR",
        help="minor units; default: all that is left",
    )
    parser.add_argument("--reason", type=arguments.text(200), default="", help="why, at most 200 characters")
    parser.add_argument(
        "--key",
        type=arguments.checked(checked_key),
        help="to repeat a refund whose answer was lost; default: a new one",
    )


async def refund(words: argparse.Namespace) -> int:
    """0 when the money is on its way back or the provider is being asked, 1 when it was refused."""
    key = f"cli-{secrets.token_hex(8)}" if words.key is None else words.key
    async with grpc.aio.insecure_channel(setting("payments_address", folder=words.dir)) as channel:
        payments: PaymentsAsyncStub = PaymentsStub(channel)
        try:
            known = await payments.Get(pb.GetRequest(order_id=words.order), timeout=5)
            request = pb.RefundRequest(order_id=words.order, idempotency_key=key, reason=words.reason)
            if words.amount is not None:
                request.amount.CopyFrom(Money(minor=words.amount, currency=known.payment.amount.currency))
            answer = await payments.Refund(request, timeout=5)
            made = await _answered(payments, answer.refund)
        except grpc.aio.AioRpcError as error:
            fault = fault_of(error)
            print(f"forno orders refund: {fault.message} ({fault.reason or fault.code.name})", file=sys.stderr)
            return 1
    if words.json:
        print(json.dumps({"replayed": answer.replayed, **MessageToDict(made, preserving_proto_field_name=True)}))
    else:
        print(_told(made))
    return 1 if made.status == pb.REFUND_STATUS_REFUSED else 0


async def _answered(payments: PaymentsAsyncStub, asked: pb.Refund) -> pb.Refund:
    """The refund after the provider's answer, or as it stands when that takes too long."""
    until_s = time.monotonic() + PATIENCE_S
    while asked.status == pb.REFUND_STATUS_PENDING and time.monotonic() < until_s:
        await asyncio.sleep(0.2)
        found = await payments.Get(pb.GetRequest(order_id=asked.order_id), timeout=5)
        asked = next(one for one in found.refunds if one.idempotency_key == asked.idempotency_key)
    return asked


def _told(made: pb.Refund) -> str:
    amount = f"{made.amount.minor} {made.amount.currency} (minor units)"
    match made.status:
        case pb.REFUND_STATUS_DONE:
            return f"given back: {amount}"
        case pb.REFUND_STATUS_REFUSED:
            return f"refused by the provider: {amount}, {made.refusal}"
        case _:
            return f"accepted, the provider has not answered yet: {amount}; key {made.idempotency_key}"
