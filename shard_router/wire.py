"""The map, moves and plans as they go over the wire, and back."""

from __future__ import annotations

from collections.abc import Mapping

from proto.common.v1.types_pb2 import LatLng
from proto.shard_router.v1 import shard_router_pb2 as pb
from shard_router.topology import CityEntry, CityLoad, CityMap, Move, MoveState, ShardEntry, ShardLoad

_MOVE_STATES: Mapping[MoveState, pb.MoveState.ValueType] = {
    MoveState.SHADOWING: pb.MOVE_STATE_SHADOWING,
    MoveState.WARM: pb.MOVE_STATE_WARM,
    MoveState.RELEASED: pb.MOVE_STATE_RELEASED,
    MoveState.DONE: pb.MOVE_STATE_DONE,
    MoveState.FAILED: pb.MOVE_STATE_FAILED,
}


def map_message(map_: CityMap) -> pb.GetMapResponse:
    """The map as a message."""
    cities: dict[str, list[str]] = {}
    for city in sorted(map_.cities.values(), key=lambda entry: entry.city):
        cities.setdefault(city.owner or "", []).append(city.city)
    return pb.GetMapResponse(
        version=map_.version,
        cities=[city_message(city) for city in map_.cities.values()],
        shards=[_shard_message(shard, cities.get(shard.shard_id, [])) for shard in map_.shards.values()],
    )


def map_value(answer: pb.GetMapResponse) -> CityMap:
    """The map as a value."""
    return CityMap(
        answer.version,
        {city.city: city_value(city) for city in answer.cities},
        {shard.shard_id: _shard_value(shard) for shard in answer.shards},
    )


def city_message(entry: CityEntry) -> pb.City:
    """An entry of the map as a message."""
    load = entry.load
    return pb.City(
        city=entry.city,
        name=entry.name,
        partition=entry.partition,
        shard_id=entry.owner or "",
        address=entry.address,
        epoch=entry.epoch,
        moving_to=entry.moving_to or "",
        time_zone=entry.time_zone,
        currency=entry.currency,
        center=LatLng(lat_e7=entry.center_lat_e7, lng_e7=entry.center_lng_e7),
        load=pb.CityLoad(riders=load.riders, open_orders=load.open_orders, tick_p99_ms=load.tick_p99_ms),
        move=move_message(entry.move) if entry.move is not None else None,
        behind=entry.behind or 0,
    )


def city_value(city: pb.City) -> CityEntry:
    """An entry of the map as a value."""
    return CityEntry(
        city=city.city,
        name=city.name,
        partition=city.partition,
        time_zone=city.time_zone,
        currency=city.currency,
        center_lat_e7=city.center.lat_e7,
        center_lng_e7=city.center.lng_e7,
        owner=city.shard_id or None,
        epoch=city.epoch,
        moving_to=city.moving_to or None,
        address=city.address,
        load=CityLoad(city.load.riders, city.load.open_orders, city.load.tick_p99_ms),
        move=move_value(city.move) if city.HasField("move") else None,
        behind=city.behind if city.HasField("move") else None,
    )


def move_message(move: Move) -> pb.Move:
    """A move as a message."""
    return pb.Move(
        move_id=move.move_id,
        city=move.city,
        from_shard=move.from_shard or "",
        to_shard=move.to_shard,
        epoch=move.epoch,
        actor=move.actor,
        state=_MOVE_STATES[move.state],
        reason=move.reason,
        asked_ms=move.asked_ms,
        warm_ms=move.warm_ms or 0,
        released_ms=move.released_ms or 0,
        ended_ms=move.ended_ms or 0,
        gap_ms=move.gap_ms or 0,
    )


def move_value(move: pb.Move) -> Move:
    """A move as a value."""
    return Move(
        move_id=move.move_id,
        city=move.city,
        from_shard=move.from_shard or None,
        to_shard=move.to_shard,
        epoch=move.epoch,
        actor=move.actor,
        state=next(state for state, word in _MOVE_STATES.items() if word == move.state),
        asked_ms=move.asked_ms,
        reason=move.reason,
        warm_ms=move.warm_ms or None,
        released_ms=move.released_ms or None,
        ended_ms=move.ended_ms or None,
        gap_ms=move.gap_ms or None,
    )


def _shard_message(entry: ShardEntry, cities: list[str]) -> pb.Shard:
    return pb.Shard(
        shard_id=entry.shard_id,
        address=entry.address,
        alive=entry.alive,
        cities=cities,
        heartbeat_age_ms=entry.heartbeat_age_ms,
        riders=entry.load.riders,
        open_orders=entry.load.open_orders,
        tick_p99_ms=entry.load.tick_p99_ms,
        draining=entry.draining,
        refused=entry.load.refused,
    )


def _shard_value(shard: pb.Shard) -> ShardEntry:
    load = ShardLoad(shard.riders, shard.open_orders, shard.tick_p99_ms, shard.refused)
    age_ms = shard.heartbeat_age_ms
    return ShardEntry(shard.shard_id, shard.address, shard.alive, age_ms, load, shard.draining)
