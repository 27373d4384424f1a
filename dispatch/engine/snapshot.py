"""The memory of a city as bytes: where a recorded stretch may begin."""

from __future__ import annotations

import zlib
from base64 import b64decode, b64encode
from dataclasses import dataclass

from dispatch.engine.codec import from_json, to_json
from dispatch.engine.eta.calibration import Eta
from dispatch.engine.eta.learning import BrokenLearning, CityLearning
from dispatch.engine.memory import CityMemory
from dispatch.engine.model import Offer, Order, OrderId, Rider, RiderId
from dispatch.engine.state import CityState
from dispatch.engine.tracks import Track
from dispatch.errors import InvalidEntity


@dataclass(frozen=True, slots=True)
class _Packed:
    """Fields of a snapshot, in this order. Snapshots of older versions end after `ended`."""

    orders: tuple[Order, ...]
    riders: tuple[Rider, ...]
    offers: tuple[Offer, ...]
    cooldowns: tuple[tuple[RiderId, OrderId, int], ...]
    ended: tuple[tuple[OrderId, int], ...]
    tracks: tuple[Track, ...] = ()
    etas: tuple[tuple[OrderId, Eta], ...] = ()
    turns: tuple[RiderId, ...] = ()
    learning: str | None = None


def pack_memory(memory: CityMemory) -> bytes:
    """Compressed JSON, the same bytes for the same memory; without the learned travel model, which ticks name.

    Takes about 3 µs an entity: call it in a thread.
    """
    state = memory.state
    packed = _Packed(
        orders=tuple(state.orders[k] for k in sorted(state.orders)),
        riders=tuple(state.riders[k] for k in sorted(state.riders)),
        offers=tuple(state.offers[k] for k in sorted(state.offers)),
        cooldowns=tuple((r, o, state.cooldowns[r, o]) for r, o in sorted(state.cooldowns)),
        ended=tuple((o, state.ended[o]) for o in sorted(state.ended)),
        tracks=tuple(memory.tracks[k] for k in sorted(memory.tracks)),
        etas=tuple(memory.etas.items()),
        turns=memory.turns,
        learning=b64encode(memory.learning.snapshot()).decode(),
    )
    return zlib.compress(to_json(packed), 6)


@dataclass(frozen=True, slots=True)
class UnpackedMemory:
    """A memory again. Not `whole`, it is of an older version and holds only the state: no ETA can be told from it."""

    memory: CityMemory
    whole: bool


def unpack_memory(body: bytes) -> UnpackedMemory:
    """Raises `InvalidEntity`."""
    try:
        packed = from_json(_Packed, zlib.decompress(body))
        if packed.learning is None:
            return UnpackedMemory(CityMemory(_state(packed)), whole=False)
        memory = CityMemory(
            state=_state(packed),
            tracks={track.order_id: track for track in packed.tracks},
            etas=dict(packed.etas),
            turns=packed.turns,
            learning=CityLearning.loaded(b64decode(packed.learning)),
        )
        return UnpackedMemory(memory, whole=True)
    except (zlib.error, ValueError, BrokenLearning) as error:
        raise InvalidEntity(f"not a snapshot of a city: {error!r}") from error


def _state(packed: _Packed) -> CityState:
    return CityState(
        orders={order.order_id: order for order in packed.orders},
        riders={rider.rider_id: rider for rider in packed.riders},
        offers={offer.offer_id: offer for offer in packed.offers},
        cooldowns={(rider_id, order_id): until_ms for rider_id, order_id, until_ms in packed.cooldowns},
        ended=dict(packed.ended),
    )
