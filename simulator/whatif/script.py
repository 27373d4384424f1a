"""Extract from a recording what dispatch did not decide: orders, riders' terms, where riders were."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from dispatch.engine.inputs import (
    OfferReplied,
    OrderCancelled,
    OrderOpened,
    OrderReadyChanged,
    RiderOffline,
    RiderOnline,
)
from dispatch.engine.model import Point, RiderId
from dispatch.engine.params import PaceParams, ServiceParams
from dispatch.positions import RiderPositions
from dispatch.recording.recording import Recording
from dispatch.recording.rerun import RerunTick, params_of
from proto.fix_columns import FixColumns
from proto.fix_messages import decode_fixes

#: A tick each so long, domain ms, where the recording is too short to tell.
_STEP_MS = 1000
_STEPS_MS = (200, 60_000)
#: How long a rider takes to answer where nobody did, domain ms.
_REPLY_MS = 5000

UndecidedInput = OrderOpened | OrderReadyChanged | OrderCancelled | RiderOnline | RiderOffline
"""Inputs that no decision of dispatch brings about."""


@dataclass(frozen=True, slots=True)
class ScriptedInput:
    """An input at `at_ms`; `place` is where a rider that comes online stands, if that is known."""

    at_ms: int
    input: UndecidedInput
    place: Point | None = None


@dataclass(frozen=True, slots=True)
class Script:
    """The world of a recording. `start` is the memory at `began_ms`, packed; `places` are where its riders stood.

    `service` and `pace` are how long things take at the counter, at the door and by each vehicle, as the recorded
    policy had it: a policy that thinks otherwise is mistaken, it does not make riders faster.
    """

    city: str
    began_ms: int
    ended_ms: int
    step_ms: int
    reply_ms: int
    service: ServiceParams
    pace: PaceParams
    lines: Sequence[ScriptedInput]
    start: bytes
    places: dict[RiderId, Point]


def script_of(recording: Recording, reruns: Sequence[RerunTick]) -> Script:
    """The script behind a recording that was run again. Raises `BadRecording`."""
    params = params_of(recording, reruns[-1].recorded.params_digest)
    times = [tick.recorded.now_ms for tick in reruns]
    gaps = np.diff(times) if len(times) > 1 else np.array([_STEP_MS])
    return Script(
        city=recording.city,
        began_ms=times[0],
        ended_ms=times[-1],
        step_ms=int(np.clip(np.median(gaps), *_STEPS_MS)),
        reply_ms=_reply_ms(reruns),
        service=params.service,
        pace=params.pace,
        lines=tuple(_lines(reruns)),
        start=recording.start,
        places=_places(recording),
    )


def _lines(reruns: Iterable[RerunTick]) -> Iterable[ScriptedInput]:
    for tick in reruns:
        for event in tick.events:
            if isinstance(event.input, OrderOpened | OrderReadyChanged | OrderCancelled | RiderOnline | RiderOffline):
                place = _point(event.seed, 0) if event.seed is not None and len(event.seed) else None
                yield ScriptedInput(tick.recorded.now_ms, event.input, place)


def _reply_ms(reruns: Iterable[RerunTick]) -> int:
    """The median from an offer to its acceptance."""
    made: dict[str, int] = {}
    took: list[int] = []
    for tick in reruns:
        replies = [
            event.input for event in tick.events if isinstance(event.input, OfferReplied) and event.input.accepted
        ]
        took += [tick.recorded.now_ms - made[reply.offer_id] for reply in replies if reply.offer_id in made]
        made.update((offer.offer_id, offer.made_ms) for offer in tick.computed.decisions.offers)
    return int(np.median(took)) if took else _REPLY_MS


def _places(recording: Recording) -> dict[RiderId, Point]:
    """Place where each rider was first seen; for those seen before the first tick, where last before it."""
    before = RiderPositions()
    places: dict[RiderId, Point] = {}
    for message in recording.pings:
        decoded = decode_fixes(message.value, recording.city)
        if decoded is None:
            continue
        fixes = decoded[0]
        if recording.ticks and message.offset < recording.ticks[0].pings_offset:
            before.apply(fixes)
        else:
            for row, rider in enumerate(fixes.rider_id.tolist()):
                places.setdefault(RiderId(rider), _point(fixes, row))
    last = before.changed_since(0)
    seen = {RiderId(rider): _point(last, row) for row, rider in enumerate(last.rider_id.tolist())}
    return places | seen


def _point(fixes: FixColumns, row: int) -> Point:
    return Point(int(fixes.lat_e7[row]), int(fixes.lng_e7[row]))
