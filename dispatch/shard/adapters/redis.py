"""Redis: announcements over pub/sub, and the GEO view of a city.

Keys, one function each: `geo:<city>` (GEO set, member = rider id), `geo:<city>:ts` (hash rider -> time of the fix,
domain ms), `geo:<city>:epoch` (who wrote last). A writer of a lower epoch is refused by the script that writes. The
servers keep nothing over a restart: a city without an epoch was never written, or lost.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from dispatch.shard import wire
from dispatch.shard.ports import LivePosition
from node.errors import Retryable
from proto.fix_columns import FixColumns

#: Members a command: a script's arguments are bounded by Lua's stack.
_CHUNK = 1000
#: GEO knows no latitudes beyond these, 1e-7 degrees.
_MAX_LAT_E7 = 850_511_287

#: Returns 1 if the city had no epoch, else 0.
_WRITE = """
local held = redis.call('get', KEYS[3])
if held and tonumber(held) > tonumber(ARGV[1]) then return 0 end
redis.call('set', KEYS[3], ARGV[1])
local geo, ts = {}, {}
for i = 2, #ARGV, 4 do
  geo[#geo+1] = ARGV[i]; geo[#geo+1] = ARGV[i+1]; geo[#geo+1] = ARGV[i+2]
  ts[#ts+1] = ARGV[i+2]; ts[#ts+1] = ARGV[i+3]
end
if #ts > 0 then
  redis.call('geoadd', KEYS[1], unpack(geo))
  redis.call('hset', KEYS[2], unpack(ts))
end
return held and 0 or 1
"""
_REMOVE = """
local held = tonumber(redis.call('get', KEYS[3]) or '0')
if held > tonumber(ARGV[1]) then return 0 end
local gone = {unpack(ARGV, 2)}
redis.call('zrem', KEYS[1], unpack(gone))
redis.call('hdel', KEYS[2], unpack(gone))
return 1
"""


def geo_key(city: str) -> str:
    """The GEO set of a city's riders."""
    return f"geo:{city}"


def geo_ts_key(city: str) -> str:
    """Redis key of the times of the riders' positions."""
    return f"geo:{city}:ts"


def geo_epoch_key(city: str) -> str:
    """The epoch that wrote last."""
    return f"geo:{city}:epoch"


def live_channel(city: str) -> str:
    """Positions of riders of active orders."""
    return f"live:{city}"


def wake_channel(city: str) -> str:
    """Something changed: fetch it."""
    return f"wake:{city}"


@asynccontextmanager
async def _errors() -> AsyncIterator[None]:
    try:
        yield
    except (RedisError, OSError, TimeoutError) as error:
        raise Retryable(f"redis is away: {error!r}", reason="REDIS_AWAY") from error


def connect(url: str) -> Redis:
    """A client that gives up after a second rather than keep a view waiting."""
    return Redis.from_url(url, socket_timeout=1.0, socket_connect_timeout=1.0, max_connections=32)


class RedisAnnouncements:
    """`Announcements` by PUBLISH."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def positions(self, city: str, epoch: int, positions: Sequence[LivePosition]) -> None:
        async with _errors():
            await self._redis.publish(live_channel(city), wire.encode_live(city, epoch, positions))

    async def wake(self, city: str, epoch: int, order_ids: Sequence[str], rider_ids: Sequence[int]) -> None:
        async with _errors():
            await self._redis.publish(wake_channel(city), wire.encode_wake(city, epoch, order_ids, rider_ids))


class RedisGeoView:
    """`PositionsView` as a GEO set."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._write = redis.register_script(_WRITE)
        self._remove = redis.register_script(_REMOVE)

    async def write(self, city: str, epoch: int, fixes: FixColumns) -> bool:
        on_map = fixes.take(abs(fixes.lat_e7) <= _MAX_LAT_E7)
        rows = zip(
            (on_map.lng_e7 * 1e-7).tolist(),
            (on_map.lat_e7 * 1e-7).tolist(),
            on_map.rider_id.tolist(),
            on_map.ts_ms.tolist(),
            strict=True,
        )
        words = [word for row in rows for word in row]
        lost = 0
        async with _errors():
            for at in range(0, max(1, len(words)), 4 * _CHUNK):
                lost += await self._write(keys=_keys(city), args=[epoch, *words[at : at + 4 * _CHUNK]])
        return not lost

    async def remove(self, city: str, epoch: int, rider_ids: Sequence[int]) -> None:
        async with _errors():
            for at in range(0, len(rider_ids), _CHUNK):
                await self._remove(keys=_keys(city), args=[epoch, *rider_ids[at : at + _CHUNK]])

    async def riders(self, city: str) -> list[int]:
        async with _errors():
            members: Any = await self._redis.zrange(geo_key(city), 0, -1)
        return [int(member) for member in members]


def _keys(city: str) -> list[Any]:
    return [geo_key(city), geo_ts_key(city), geo_epoch_key(city)]
