"""Every call of every service, with each of its fields at each extreme: refused by name or answered, never broken."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.message import Message
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from deploy.stack.service import Service
from deploy.stack.services import SERVICES
from deploy.stack.stack import LocalStack
from node.rpc import fault_of
from proto.common.v1.types_pb2 import LatLng, Money
from proto.dispatch.v1 import borders_pb2 as loans
from proto.dispatch.v1 import city_event_pb2, dispatch_pb2, trails_pb2
from proto.orders.v1 import kitchen_pb2, orders_pb2
from proto.orders.v1.orders_pb2_grpc import OrdersStub
from proto.payments.v1 import payments_pb2
from proto.shard_router.v1 import borders_pb2, shard_router_pb2
from proto.shard_router.v1.shard_router_pb2_grpc import ShardRouterStub
from tests.integration.orders_world import CITY, basket
from tests.integration.request_extremes import not_utf8, with_extremes

_AT = LatLng(lat_e7=-299_020_000, lng_e7=-712_520_000)
_NOW_MS = 1_790_000_000_000
_DEADLINE_S = 20.0
_NEEDED = ("router", "shard-1", "trails", "payments", "orders")
_HOSTS = {"shard_router": "router", "dispatch": "shard-1", "orders": "orders", "payments": "payments"}
_FILES: tuple[Any, ...] = (
    shard_router_pb2,
    borders_pb2,
    dispatch_pb2,
    loans,
    trails_pb2,
    orders_pb2,
    kitchen_pb2,
    payments_pb2,
)
#: Calls on one service at a time.
_AT_ONCE = 8
#: What no request may be answered with: a fault of ours would be behind it.
_OURS = (
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.UNIMPLEMENTED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.DATA_LOSS,
)


def sound_requests(order_id: str, shard_id: str) -> dict[str, Message]:
    """A request of each call that changes little, by `service/method`."""
    router, dispatch = "shard_router.v1.ShardRouter", "dispatch.v1.Dispatch"
    loan = city_event_pb2.RiderLoan(
        loan_id="loan-1", rider_id=7, home=CITY, borrower="coquimbo", lent_ms=_NOW_MS, until_ms=_NOW_MS + 60_000
    )
    order = basket()
    return {
        f"{router}/GetMap": shard_router_pb2.GetMapRequest(),
        f"{router}/WatchMap": shard_router_pb2.WatchMapRequest(),
        f"{router}/MoveCity": shard_router_pb2.MoveCityRequest(city=CITY, to_shard=shard_id, actor="ana"),
        f"{router}/CancelMove": shard_router_pb2.CancelMoveRequest(city=CITY, actor="ana"),
        f"{router}/ListMoves": shard_router_pb2.ListMovesRequest(limit=10),
        f"{router}/MakePlan": shard_router_pb2.MakePlanRequest(target=1_000_000, actor="ana"),
        f"{router}/SetDraining": shard_router_pb2.SetDrainingRequest(shard_id=shard_id, actor="ana"),
        f"{router}/ApplyPlan": shard_router_pb2.ApplyPlanRequest(plan_id=1_000_000),
        f"{router}/StopPlan": shard_router_pb2.StopPlanRequest(plan_id=1_000_000),
        f"{router}/GetPlan": shard_router_pb2.GetPlanRequest(plan_id=1_000_000),
        f"{router}/Audit": shard_router_pb2.AuditRequest(),
        "shard_router.v1.CityBorders/GetBorders": borders_pb2.GetBordersRequest(city=CITY),
        "shard_router.v1.CityBorders/PublishBorder": borders_pb2.PublishBorderRequest(
            feature_json="{}", actor="ana", dry_run=True
        ),
        f"{dispatch}/Track": dispatch_pb2.TrackRequest(city=CITY, order_id=order_id),
        f"{dispatch}/OpenOffers": dispatch_pb2.OpenOffersRequest(city=CITY),
        f"{dispatch}/RiderTasks": dispatch_pb2.RiderTasksRequest(city=CITY, rider_ids=[7]),
        f"{dispatch}/Estimate": dispatch_pb2.EstimateRequest(city=CITY, pickup=_AT, dropoff=_AT),
        f"{dispatch}/NearestRiders": dispatch_pb2.NearestRidersRequest(city=CITY, at=_AT, k=5),
        f"{dispatch}/Explain": dispatch_pb2.ExplainRequest(city=CITY, order_id=order_id),
        f"{dispatch}/WatchCity": dispatch_pb2.WatchCityRequest(city=CITY, every_ms=1_000),
        "dispatch.v1.Borders/ViewCity": loans.ViewCityRequest(city=CITY, borrower="coquimbo"),
        "dispatch.v1.Borders/LendRider": loans.LendRiderRequest(city=CITY, loan=loan),
        "dispatch.v1.Trails/Where": trails_pb2.WhereRequest(city=CITY, rider_id=7, at_ms=_NOW_MS),
        "dispatch.v1.Trails/Near": trails_pb2.NearRequest(city=CITY, at=_AT, at_ms=_NOW_MS, radius_m=500, limit=5),
        "dispatch.v1.Trails/Distance": trails_pb2.DistanceRequest(
            city=CITY, rider_id=7, from_ms=_NOW_MS, to_ms=_NOW_MS + 60_000
        ),
        "orders.v1.Orders/Quote": orders_pb2.QuoteRequest(user_id="ana", basket=order),
        "orders.v1.Orders/Place": orders_pb2.PlaceRequest(
            user_id="ana", idempotency_key="extremes", basket=order, payment_token="tok_ok"
        ),
        "orders.v1.Orders/Get": orders_pb2.GetRequest(order_id=order_id, user_id="ana"),
        "orders.v1.Orders/List": orders_pb2.ListRequest(user_id="ana", limit=5),
        "orders.v1.Orders/Cancel": orders_pb2.CancelRequest(order_id=order_id, user_id="bob", reason="late"),
        "orders.v1.Kitchens/Board": kitchen_pb2.BoardRequest(city=CITY, restaurant_id="r-1"),
        "orders.v1.Kitchens/Answer": kitchen_pb2.AnswerRequest(
            city=CITY, restaurant_id="r-1", order_id=order_id, accept=kitchen_pb2.Accept(preparation_s=600)
        ),
        "orders.v1.Kitchens/Configure": kitchen_pb2.ConfigureRequest(city=CITY, restaurant_id="r-1", auto_accept=True),
        "payments.v1.Payments/Get": payments_pb2.GetRequest(order_id=order_id),
        "payments.v1.Payments/Refund": payments_pb2.RefundRequest(
            order_id=order_id, idempotency_key="extremes", amount=Money(minor=1, currency="CLP"), reason="cold"
        ),
    }


async def test_no_field_of_any_call_breaks_a_service(own_folder: Path) -> None:
    """Some 1,300 requests: each is answered or refused for what it is, bad input with its field; all stay healthy."""
    services = [_alone(service) for service in SERVICES if service.name in _NEEDED]
    settings = {"FORNO_CITIES": f"{CITY},coquimbo"}
    async with LocalStack(own_folder, services=services, settings=settings) as stack, AsyncExitStack() as exits:
        at = {name: await exits.enter_async_context(aio.insecure_channel(stack.addresses[name])) for name in _NEEDED}
        await _owned(at["router"])
        order = orders_pb2.PlaceRequest(
            user_id="ana", idempotency_key="before-extremes", basket=basket(), payment_token="tok_ok"
        )
        placed = await OrdersStub(at["orders"]).Place(order, timeout=_DEADLINE_S)
        requests = sound_requests(placed.order.order_id, "shard-1")
        assert set(requests) == _all_calls()
        wrong = [line for name, request in requests.items() for line in await _faults(at[_host(name)], name, request)]
        assert wrong == []
        for channel in at.values():
            health = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=5)
            assert health.status == health_pb2.HealthCheckResponse.SERVING
        assert [row.name for row in stack.manifest().parts if row.restarts] == []


def _alone(service: Service) -> Service:
    """The service, expecting no second shard."""
    return replace(service, env={**service.env, "FORNO_EXPECTED_SHARDS": "1"})


def _host(name: str) -> str:
    return "trails" if "Trails" in name else _HOSTS[name.partition(".")[0]]


def _all_calls() -> set[str]:
    """Every call of the files, so that a new one cannot be forgotten."""
    services = [service for file in _FILES for service in file.DESCRIPTOR.services_by_name.values()]
    return {f"{service.full_name}/{method.name}" for service in services for method in service.methods}


async def _owned(router: aio.Channel) -> None:
    """Waits until the shard has taken the city."""
    async with asyncio.timeout(60):
        async for told in ShardRouterStub(router).WatchMap(shard_router_pb2.WatchMapRequest()):
            if any(city.city == CITY and city.shard_id for city in told.map.cities):
                return


async def _faults(channel: aio.Channel, name: str, request: Message) -> list[str]:
    """Answers that must not be."""
    admitted = asyncio.Semaphore(_AT_ONCE)

    async def fault(what: str, data: bytes) -> str:
        async with admitted:
            try:
                await _call(channel, name, data)
            except aio.AioRpcError as error:
                told = fault_of(error)
                named = told.field or told.code is not grpc.StatusCode.INVALID_ARGUMENT
                return "" if told.code not in _OURS and named else f"{name}, {what}: {told}"
            return ""

    cases = [("as it is", request.SerializeToString()), *not_utf8(request)]
    cases += [(what, changed.SerializeToString()) for what, changed in with_extremes(request)]
    return [line for line in await asyncio.gather(*(fault(*case) for case in cases)) if line]


async def _call(channel: aio.Channel, name: str, data: bytes) -> None:
    """Makes the call with the request as bytes; of a stream, takes the first answer."""
    if name.partition("/")[2].startswith("Watch"):
        answers = channel.unary_stream(f"/{name}", bytes, bytes)(data, timeout=_DEADLINE_S)
        await anext(aiter(answers))
        answers.cancel()
    else:
        await channel.unary_unary(f"/{name}", bytes, bytes)(data, timeout=_DEADLINE_S)
