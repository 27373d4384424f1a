"""The map of a planet fits through the channels that carry it."""

from __future__ import annotations

from shard_router.client import CHANNEL_OPTIONS
from shard_router.topology import CityEntry, CityLoad, CityMap, Move, MoveState, ShardEntry
from shard_router.wire import map_message

CITIES, SHARDS = 20_000, 400
ADDRESS = "shard-123.dispatch.svc.cluster.example:7443"


def test_a_map_of_20_000_cities_fits_into_one_message() -> None:
    """Every city with a long name and on the move, twice over: the map grows with cities, never with history."""
    cities = {name: _entry(name) for name in (f"a-city-with-quite-a-long-name-{number}" for number in range(CITIES))}
    shards = {name: ShardEntry(name, ADDRESS, True, 999) for name in (f"shard-{number}" for number in range(SHARDS))}
    size = map_message(CityMap(1 << 40, cities, shards)).ByteSize()
    assert size > 4 << 20
    assert 2 * size < dict(CHANNEL_OPTIONS)["grpc.max_receive_message_length"]


def _entry(name: str) -> CityEntry:
    move = Move(1 << 40, name, "shard-1", "shard-2", 1 << 30, "ana", MoveState.WARM, 1_790_000_000_000)
    return CityEntry(
        name,
        name,
        31,
        "America/Argentina/Buenos_Aires",
        "ARS",
        -900_000_000,
        -1_800_000_000,
        owner="shard-1",
        epoch=1 << 30,
        moving_to="shard-2",
        address=ADDRESS,
        load=CityLoad(1 << 20, 1 << 16, 99.123),
        move=move,
        behind=1 << 20,
    )
