"""How a call finds the owner of a city: once more when the city moved meanwhile, and never a third time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import grpc
import grpc.aio
import pytest
import structlog

from proto.shard_router.v1 import shard_router_pb2 as pb
from shard_router import client
from shard_router.client import Directory
from shard_router.errors import NoOwner, UnknownCity
from shard_router.topology import CityEntry, CityMap, ShardEntry
from shard_router.wire import map_message

if TYPE_CHECKING:
    from proto.dispatch.v1.dispatch_pb2_grpc import DispatchAsyncStub


def a_map(epoch: int, address: str = "a:1") -> pb.GetMapResponse:
    """Roma in an epoch, with its owner's address."""
    roma = CityEntry("roma", "Roma", 0, "Europe/Rome", "EUR", 0, 0, address=address, epoch=epoch)
    shards = {name: ShardEntry(name, f"{name}:1", True, 0) for name in "ab"}
    return map_message(CityMap(epoch, {"roma": roma}, shards))


def failed(code: grpc.StatusCode) -> grpc.aio.AioRpcError:
    """What a call raises that ended so."""
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(), "no answer")


class Calls:
    """A call that fails as often as there are codes, the first time while the city moves, if it does."""

    def __init__(self, directory: Directory, codes: list[grpc.StatusCode], *, moves: bool) -> None:
        self.directory = directory
        self.codes = codes
        self.moves = moves
        self.made = 0

    async def call(self, stub: DispatchAsyncStub) -> str:
        """Fails, or answers."""
        self.made += 1
        if self.moves and self.made == 1:
            await self.directory._heard(a_map(2, "b:1"))
        if self.codes:
            raise failed(self.codes.pop(0))
        return "answer"


@pytest.fixture
async def directory(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Directory]:
    """Roma is with a, in epoch 1; nobody waits long for news."""
    monkeypatch.setattr(client, "MOVED_WAIT_S", 0.0)
    made = Directory("127.0.0.1:1", structlog.get_logger())
    await made._heard(a_map(1))
    yield made
    await made.close()


@pytest.mark.parametrize(
    ("code", "moves"),
    [
        pytest.param(grpc.StatusCode.UNAVAILABLE, True, id="its shard died"),
        pytest.param(grpc.StatusCode.UNAVAILABLE, False, id="its shard stutters"),
        pytest.param(grpc.StatusCode.DEADLINE_EXCEEDED, True, id="its shard stood still and lost the city"),
    ],
)
async def test_a_call_is_made_once_more(directory: Directory, code: grpc.StatusCode, moves: bool) -> None:
    """And then answered."""
    calls = Calls(directory, [code], moves=moves)
    assert await directory.ask("roma", calls.call) == "answer"
    assert calls.made == 2


@pytest.mark.parametrize(
    ("codes", "moves", "made"),
    [
        pytest.param([grpc.StatusCode.UNAVAILABLE] * 2, True, 2, id="twice unlucky"),
        pytest.param([grpc.StatusCode.DEADLINE_EXCEEDED], False, 1, id="too slow, and nothing moved"),
        pytest.param([grpc.StatusCode.INVALID_ARGUMENT], True, 1, id="its own fault"),
    ],
)
async def test_a_call_is_not_made_for_ever(
    directory: Directory, codes: list[grpc.StatusCode], moves: bool, made: int
) -> None:
    """What it raised last is raised."""
    last, calls = codes[-1], Calls(directory, list(codes), moves=moves)
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await directory.ask("roma", calls.call)
    assert (raised.value.code(), calls.made) == (last, made)


async def test_a_city_without_owner_is_said_so(directory: Directory) -> None:
    """After a moment's waiting; and nobody is called."""
    await directory._heard(a_map(1, ""))
    calls = Calls(directory, [], moves=False)
    with pytest.raises(NoOwner):
        await directory.ask("roma", calls.call)
    with pytest.raises(UnknownCity):
        await directory.ask("atlantis", calls.call)
    assert calls.made == 0
