"""The memory of a city as bytes: where a recorded stretch may begin."""

from __future__ import annotations

import json
import zlib
from base64 import b64decode, b64encode
from dataclasses import dataclass
from typing import Any

from dispatch.engine.codec import from_plain, to_plain
from dispatch.engine.eta.calibration import Eta
from dispatch.engine.eta.learning import BrokenLearning, EtaLearning
from dispatch.engine.memory import CityMemory
from dispatch.engine.model import Offer, Order, OrderId, Rider, RiderId
from dispatch.engine.state import CityState
from dispatch.engine.tracks import Track
from dispatch.errors import InvalidEntity


def pack_memory(memory: CityMemory) -> bytes:
    """Compressed JSON, the same bytes for the same memory; without the learned travel model, which ticks name.

    Takes about 10 µs an entity: call it in a thread.
    """
    state = memory.state
    plain = {
        "orders": [to_plain(state.orders[k]) for k in sorted(state.orders)],
        "riders": [to_plain(state.riders[k]) for k in sorted(state.riders)],
        "offers": [to_plain(state.offers[k]) for k in sorted(state.offers)],
        "cooldowns": [[r, o, state.cooldowns[r, o]] for r, o in sorted(state.cooldowns)],
        "ended": [[o, state.ended[o]] for o in sorted(state.ended)],
        "tracks": [to_plain(memory.tracks[k]) for k in sorted(memory.tracks)],
        "etas": [[order_id, to_plain(eta)] for order_id, eta in memory.etas.items()],
        "turns": memory.turns,
        "learning": b64encode(memory.learning.snapshot()).decode(),
    }
    return zlib.compress(json.dumps(plain, separators=(",", ":")).encode(), 6)


@dataclass(frozen=True, slots=True)
class UnpackedMemory:
    """A memory again. Not `whole`, it is of an older version and holds only the state: no ETA can be told from it."""

    memory: CityMemory
    whole: bool


def unpack_memory(body: bytes) -> UnpackedMemory:
    """Raises `InvalidEntity`."""
    try:
        plain = json.loads(zlib.decompress(body))
        if "learning" not in plain:
            return UnpackedMemory(CityMemory(_state(plain)), whole=False)
        tracks = [from_plain(Track, track) for track in plain["tracks"]]
        memory = CityMemory(
            state=_state(plain),
            tracks={track.order_id: track for track in tracks},
            etas={OrderId(order_id): from_plain(Eta, eta) for order_id, eta in plain["etas"]},
            turns=tuple(RiderId(rider_id) for rider_id in plain["turns"]),
            learning=EtaLearning.loaded(b64decode(plain["learning"])),
        )
        return UnpackedMemory(memory, whole=True)
    except (zlib.error, ValueError, KeyError, TypeError, BrokenLearning) as error:
        raise InvalidEntity(f"not a snapshot of a city: {error!r}") from error


def _state(plain: dict[str, Any]) -> CityState:
    orders = [from_plain(Order, order) for order in plain["orders"]]
    riders = [from_plain(Rider, rider) for rider in plain["riders"]]
    offers = [from_plain(Offer, offer) for offer in plain["offers"]]
    return CityState(
        orders={order.order_id: order for order in orders},
        riders={rider.rider_id: rider for rider in riders},
        offers={offer.offer_id: offer for offer in offers},
        cooldowns={(RiderId(r), OrderId(o)): until_ms for r, o, until_ms in plain["cooldowns"]},
        ended={OrderId(o): ended_ms for o, ended_ms in plain["ended"]},
    )
