"""A tick as rows: what its transaction writes, in order. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from dispatch.engine.codec import to_json
from dispatch.engine.model import OfferStatus
from dispatch.shard import wire
from dispatch.shard.adapters.rows import plain_json
from dispatch.shard.ports import TickCommit
from node.outbox.message import Message


@dataclass(frozen=True, slots=True)
class Write:
    """A named statement and its values; with `many` it is executed once for each of them."""

    statement: str
    values: Sequence[Any]
    many: bool = False


def writes_of(tick: TickCommit, shard_id: str) -> list[Write]:
    """Statements that store a tick, but for the fence, the cut and the outbox."""
    return [*_tick(tick, shard_id), *_entities(tick), *_holdings(tick), *_records_and_tracks(tick)]


def messages_of(tick: TickCommit) -> list[Message]:
    """Results of a tick, for the outbox."""
    return [wire.result_message(tick.ownership, result) for result in tick.tracks.results]


def _tick(tick: TickCommit, shard_id: str) -> Iterable[Write]:
    own, basis, cut = tick.ownership, tick.basis, tick.applied.cut
    params = plain_json(tick.params)
    digest = hashlib.sha256(params.encode()).hexdigest()[:16]
    yield Write("insert_params", (digest, params))
    yield Write(
        "insert_tick",
        (
            own.city,
            tick.tick,
            own.epoch,
            shard_id,
            basis.now_ms,
            cut.incarnation,
            cut.partition,
            cut.pings_offset,
            cut.events_offset,
            digest,
            basis.travel_version,
            tick.strategy,
            tick.solver_status,
            tick.solver_work,
            tick.solver_cost,
            basis.solver_fallback,
            tick.digests.problem,
            tick.digests.solution,
            tick.digests.decisions,
            list(tick.ignored),
            tick.duration_ms,
            tick.digests.etas_and_tracks,
            basis.eta_fallback,
            basis.renewed,
            basis.lesson,
            to_json(tick.quiet).decode(),
            basis.stops_fallback,
            list(tick.passed_over),
            basis.owner_began,
        ),
    )
    if tick.checkpoint is not None:
        yield Write("insert_start", (own.city, tick.tick, tick.checkpoint.events_offset, tick.checkpoint.body))


def _entities(tick: TickCommit) -> Iterable[Write]:
    keys, changes = (tick.ownership.city, tick.tick), tick.changes
    orders = [(o.order_id, o.status, o.rider_id, o.ended_ms, plain_json(o)) for o in changes.orders]
    yield from _columns("upsert_orders", keys, orders)
    riders = [(r.rider_id, r.online, r.load, plain_json(r)) for r in changes.riders]
    yield from _columns("upsert_riders", keys, riders)
    yield from _loans(tick)
    # Ends first: a rider's next offer may be made in the tick in which the last one lapsed.
    ended = [(o.offer_id, o.status, plain_json(o)) for o in changes.offers if o.status is not OfferStatus.LIVE]
    yield from _columns("end_offers", (tick.tick,), ended)
    made = [(o.offer_id, o.rider_id, o.status, o.made_ms, plain_json(o)) for o in changes.offers]
    yield from _columns("insert_offers", keys, made)
    cooldowns = [(c.rider_id, c.order_id, c.until_ms) for c in changes.cooldowns]
    yield from _columns("upsert_cooldowns", keys[:1], cooldowns)


def _loans(tick: TickCommit) -> Iterable[Write]:
    """Loans granted and loans that are over. Written again with each later change of the rider: it does no harm."""
    own, loans = tick.ownership, [(r, r.loan) for r in tick.changes.riders if r.loan is not None]
    lent = [
        (r.rider_id, loan.loan_id, loan.borrower, loan.borrower_epoch, plain_json(r)) for r, loan in loans if r.lent
    ]
    yield from _columns("lend_riders", (own.city, own.epoch), lent)
    yield from _columns("return_riders", (own.city,), [(loan.loan_id, r.rested_ms) for r, loan in loans if r.returned])


def _holdings(tick: TickCommit) -> Iterable[Write]:
    own, holdings = tick.ownership, tick.holdings
    if holdings.ended:
        yield Write("end_holdings", (tick.tick, list(holdings.ended)))
    begun = [(h.order_id, h.rider_id, h.place) for h in holdings.begun]
    yield from _columns("begin_holdings", (own.city, own.epoch, tick.tick), begun)
    yield from _columns("accept_holdings", (), [(h.order_id, h.place) for h in holdings.accepted])


def _records_and_tracks(tick: TickCommit) -> Iterable[Write]:
    own, changes = tick.ownership, tick.tracks
    records = [
        (own.city, tick.tick, r.offer_id, list(r.order_ids), r.rider_id, own.epoch, plain_json(r)) for r in tick.records
    ]
    if records:
        yield Write("insert_decisions", records, many=True)
    tracks = [(t.order_id, t.version, plain_json(t)) for t in changes.tracks]
    yield from _columns("upsert_tracks", (own.city, tick.tick), tracks)
    outcomes = [
        (
            o.order_id,
            own.city,
            o.rider_id,
            o.placed_ms,
            o.accepted_ms,
            o.predicted_ms,
            o.predicted_p90_ms,
            o.delivered_ms,
        )
        for o in changes.outcomes
    ]
    if outcomes:
        yield Write("insert_outcomes", outcomes, many=True)
    quotes = [
        (o.order_id, q.stage, q.made_ms, q.raw_ms, q.spread_ms, q.median_ms, q.p90_ms, o.delivered_ms)
        for o in changes.outcomes
        for q in o.quotes
    ]
    yield from _columns("insert_quotes", (own.city,), quotes)


def _columns(statement: str, keys: tuple[Any, ...], rows: Sequence[tuple[Any, ...]]) -> Iterable[Write]:
    """Rows as one array a column, for `unnest`; nothing when there are none."""
    if rows:
        yield Write(statement, (*keys, *map(list, zip(*rows, strict=True))))
