"""Policies side by side: as recorded, the recorded policy in the modelled world, another policy in that world."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields

import numpy as np

from dispatch.engine.inputs import OrderOpened
from dispatch.engine.model import OfferStatus, OrderId
from dispatch.engine.notes import NoteKind
from dispatch.recording.rerun import RerunTick
from simulator.whatif.world import Fates


@dataclass(frozen=True, slots=True)
class Outcome:
    """Figures over orders opened in the stretch; means are over those delivered, minutes of the domain clock.

    `late_mean_min` is past the promise (0 when in time). `crow_km_per_order` is ridden to counters and doors, along
    great circles. `churn_per_order` counts offers retracted and orders taken out of accepted plans.
    `eta_off_mean_min` is how far deliveries were from the ETA told when the rider accepted, early or late.
    """

    orders: int
    delivered: int
    click_to_door_mean_min: float
    click_to_door_p90_min: float
    late_mean_min: float
    late_pct: float
    ready_to_pickup_mean_min: float
    orders_per_pickup: float
    crow_km_per_order: float | None
    offers_per_order: float
    churn_per_order: float
    eta_off_mean_min: float


def outcome(fates: Fates, *, metres_known: bool = True) -> Outcome:
    """Figures of one life."""
    done = [o for o in fates.opened if o in fates.delivered]
    wait_min = np.array([fates.delivered[o] - fates.opened[o].placed_ms for o in done]) / 60_000
    late_min = np.array([max(0, fates.delivered[o] - fates.opened[o].promised_ms) for o in done]) / 60_000
    counter_min = [max(0, fates.picked_up[o] - fates.opened[o].ready_ms) / 60_000 for o in done if o in fates.picked_up]
    opened = max(1, len(fates.opened))
    return Outcome(
        orders=len(fates.opened),
        delivered=len(done),
        click_to_door_mean_min=_mean(wait_min),
        click_to_door_p90_min=round(float(np.percentile(wait_min, 90)), 3) if done else 0.0,
        late_mean_min=_mean(late_min),
        late_pct=round(100 * float(np.mean(late_min > 0)), 3) if done else 0.0,
        ready_to_pickup_mean_min=_mean(counter_min),
        orders_per_pickup=round(len(fates.picked_up) / max(1, fates.pickups), 3),
        crow_km_per_order=round(fates.metres / 1000 / max(1, len(fates.delivered)), 3) if metres_known else None,
        offers_per_order=round(fates.offers / opened, 3),
        churn_per_order=round(fates.churned / opened, 3),
        eta_off_mean_min=_mean(np.abs(fates.eta_errors_s) / 60),
    )


def recorded_fates(reruns: Iterable[RerunTick]) -> Fates:
    """The orders' recorded fates, from the ticks run again. Metres are not known."""
    fates, together = Fates(), set()
    for tick in reruns:
        for event in tick.events:
            if isinstance(event.input, OrderOpened):
                fates.opened.setdefault(event.input.order_id, event.input)
        for note in tick.computed.notes:
            if note.order_id is None:
                continue
            if note.kind is NoteKind.DELIVERED:
                fates.delivered[note.order_id] = note.at_ms
            elif note.kind is NoteKind.PICKED_UP:
                fates.picked_up[note.order_id] = note.at_ms
                together.add((note.rider_id, note.at_ms))
        decisions = tick.computed.decisions
        fates.eta_errors_s += [outcome.error_s for outcome in tick.computed.tracks.outcomes]
        fates.offers += len(decisions.offers)
        fates.churned += len(decisions.released)
        fates.churned += sum(o.status is OfferStatus.RETRACTED for o in decisions.changes.offers)
    fates.pickups = len(together)
    return fates


def regret(recorded: Outcome, same: Outcome, other: Outcome | None) -> dict[str, dict[str, float | None]]:
    """Rows of the table: each figure as recorded, modelled, under the other policy, and the other less the modelled."""
    rows: dict[str, dict[str, float | None]] = {}
    columns = {"recorded": asdict(recorded), "same_policy": asdict(same)}
    if other is not None:
        columns["other_policy"] = asdict(other)
    for field in fields(Outcome):
        row: dict[str, float | None] = {name: values[field.name] for name, values in columns.items()}
        if other is not None:
            row["difference"] = round(getattr(other, field.name) - getattr(same, field.name), 3)
        rows[field.name] = row
    return rows


def most_delayed(same: Fates, other: Fates, count: int) -> Sequence[tuple[OrderId, float]]:
    """Orders that the recorded policy made wait longest beyond the other: (order, minutes), largest first."""
    both = [o for o in same.opened if o in same.delivered and o in other.delivered]
    lost = [(o, (same.delivered[o] - other.delivered[o]) / 60_000) for o in both]
    return sorted(lost, key=lambda item: (-item[1], item[0]))[:count]


def _mean(values: Sequence[float] | np.ndarray) -> float:
    return round(float(np.mean(values)), 3) if len(values) else 0.0
