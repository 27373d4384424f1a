"""The app's side: nothing but fixes is ever dropped, order is kept, the journal says exactly what was promised."""

from __future__ import annotations

import random

import numpy as np
import pytest

from proto.columns import PING_BATCH
from proto.fix_columns import MAX_PING_BATCH
from proto.tracking.v1 import rider_link_pb2 as link
from tests.unit.tracking.worlds import NOW_MS
from tracking.client import wire
from tracking.client.errors import SendBufferFull
from tracking.client.send_buffer import EAGER_BATCHES, Batch, FixRow, Reply, SendBuffer, Single, Status
from tracking.client.values import StopKind
from tracking.statuses import RiderStatus


def row(n: int) -> FixRow:
    """The n-th fix: its time is n."""
    return (n, 0, 0, 50, 0, 0)


def sent_times(message: Batch | Single | None) -> list[int]:
    """The times of a batch's fixes."""
    assert isinstance(message, Batch)
    return [fix[0] for fix in message.fixes]


def test_numbers_begin_anew_in_each_session() -> None:
    """What was not acknowledged is sent again first, in its old order, with new numbers."""
    buffer = SendBuffer()
    buffer.opened(100)
    for n in range(3):
        buffer.fix(row(n))
    assert buffer.next_message() == Batch(1, (row(0), row(1), row(2)))
    buffer.event(Reply("o-1", True, 0))
    assert buffer.next_message() == Single(4, Reply("o-1", True, 0))
    buffer.fix(row(3))
    buffer.disconnected()
    buffer.opened(101)
    assert buffer.next_message() == Single(1, Reply("o-1", True, 0))
    assert buffer.next_message() == Batch(2, (row(0), row(1), row(2), row(3)))
    buffer.ack(5)
    assert buffer.empty
    assert list(buffer.journal.acked_fixes) == [(101, 2), (101, 3), (101, 4), (101, 5)]
    assert list(buffer.journal.acked_events) == [(101, 1)]


def test_an_ack_covers_whole_messages_only() -> None:
    """A batch is acknowledged when its last number is."""
    buffer = SendBuffer()
    buffer.opened(1)
    buffer.fix(row(0))
    buffer.fix(row(1))
    buffer.next_message()
    buffer.ack(1)
    assert not buffer.empty
    buffer.ack(2)
    assert buffer.empty


def test_a_refused_batch_is_not_sent_again() -> None:
    """It leaves the window, and the journal tells it apart from what was acknowledged."""
    buffer = SendBuffer()
    buffer.opened(1)
    buffer.fix(row(0))
    buffer.next_message()
    buffer.fix(row(1))
    buffer.next_message()
    buffer.refused(1)
    buffer.ack(2)
    buffer.disconnected()
    assert buffer.empty
    assert list(buffer.journal.refused) == [(1, 1)]
    assert list(buffer.journal.acked_fixes) == [(1, 2)]


def test_batches_grow_when_acks_are_slow() -> None:
    """The first few fixes go one by one; while their acks are due the others wait for a full batch."""
    buffer = SendBuffer()
    buffer.opened(1)
    for n in range(EAGER_BATCHES):
        buffer.fix(row(n))
        assert sent_times(buffer.next_message()) == [n]
    for n in range(MAX_PING_BATCH - 1):
        buffer.fix(row(10 + n))
        assert buffer.next_message() is None
    buffer.fix(row(500))
    assert len(sent_times(buffer.next_message())) == MAX_PING_BATCH
    buffer.fix(row(501))
    buffer.ack(1)
    assert buffer.next_message() is None, "too many batches are still under way"
    buffer.ack(2)
    assert sent_times(buffer.next_message()) == [501]


def test_a_full_outbox_thins_the_oldest_fixes() -> None:
    """Ten thousand fixes offline: the newest are all there, the older ones ever thinner, in order, within the bound."""
    buffer = SendBuffer(max_fixes=400)
    for n in range(10_000):
        buffer.fix(row(n))
        assert buffer.waiting_fixes <= 400
    buffer.opened(1)
    kept: list[int] = []
    while (message := buffer.next_message()) is not None:
        kept += sent_times(message)
        buffer.ack(message.last_seq)
    assert kept == sorted(kept)
    assert kept[-100:] == list(range(9_900, 10_000))
    assert len(kept) + buffer.journal.thinned_fixes == 10_000


def test_replies_and_statuses_are_never_dropped() -> None:
    """When too many wait the caller is told, and those that wait stay."""
    buffer = SendBuffer(max_events=3)
    for n in range(3):
        buffer.event(Status(RiderStatus.ONLINE, n))
    with pytest.raises(SendBufferFull):
        buffer.event(Status(RiderStatus.OFFLINE, 4))
    buffer.opened(1)
    events = [buffer.next_message() for _ in range(3)]
    assert [one.event.ts_ms for one in events if isinstance(one, Single)] == [0, 1, 2]
    with pytest.raises(SendBufferFull):
        buffer.event(Status(RiderStatus.OFFLINE, 4))


def test_old_fixes_are_forgotten_before_they_spoil_a_batch() -> None:
    """What the edge would refuse as too old is not sent."""
    buffer = SendBuffer()
    buffer.opened(1)
    for n in range(5):
        buffer.fix(row(n))
    buffer.drop_older(3)
    assert sent_times(buffer.next_message()) == [3, 4]
    assert buffer.journal.thinned_fixes == 3


def test_random_lives_lose_nothing() -> None:
    """Whatever the order of fixes, sends, acks, refusals and breaks: each fix is acknowledged or refused in the end."""
    for seed in range(200):
        draw = random.Random(seed)
        buffer = SendBuffer(window=150)
        buffer.opened(1)
        given, events, session, newest = 0, 0, 1, 0
        for _ in range(300):
            match draw.randrange(8):
                case 0 | 1 | 2:
                    buffer.fix(row(given))
                    given += 1
                case 3:
                    buffer.event(Reply(str(events), True, events))
                    events += 1
                case 4 | 5:
                    message = buffer.next_message()
                    newest = message.last_seq if message is not None else newest
                case 6:
                    buffer.ack(draw.randint(0, newest))
                case _ if draw.random() < 0.2:
                    buffer.disconnected()
                    session, newest = session + 1, 0
                    buffer.opened(session)
        while not buffer.empty:
            message = buffer.next_message()
            newest = message.last_seq if message is not None else newest
            buffer.ack(newest)
        journal = buffer.journal
        assert len(journal.acked_fixes) == given, f"seed {seed}"
        assert len(journal.acked_events) == events, f"seed {seed}"
        promised = [*journal.acked_fixes, *journal.acked_events]
        assert len(set(promised)) == len(promised), f"seed {seed}: a number was promised twice"
        assert buffer.unacked == 0


def test_columns_on_the_wire() -> None:
    """A batch is packed as the edge unpacks it."""
    fixes = (
        (NOW_MS, -299_000_000, -712_000_000, 50, 35_999, 65_535),
        (NOW_MS + 1, 900_000_000, 1_800_000_000, 0, 0, 0),
    )
    message = wire.ping_batch(7, fixes)
    columns = [np.frombuffer(getattr(message, name), kind).tolist() for name, kind in PING_BATCH.items()]
    assert columns[0] == [7, 8]
    assert list(zip(*columns[1:], strict=True)) == list(fixes)


def test_a_stop_of_a_kind_that_only_a_newer_edge_knows_is_one_of_the_route() -> None:
    """The app keeps its stream, and shows the stop as it is."""
    stops = [link.Stop(kind=kind, order_ids=["o-1"]) for kind in (1, 2, 0, 17)]  # type: ignore[arg-type]
    known = [StopKind.PICKUP, StopKind.DROPOFF, StopKind.UNKNOWN, StopKind.UNKNOWN]
    assert [stop.kind for stop in wire.route(link.Route(stops=stops, version=1)).stops] == known
    assert [stop.kind for stop in wire.offer(link.Offer(offer_id="f-1", stops=stops)).stops] == known


def test_a_message_of_a_kind_that_only_a_newer_edge_knows_is_passed_over() -> None:
    """Field 99 of the response: nothing to tell the app."""
    assert wire.event(link.ConnectResponse.FromString(b"\x9a\x06\x01x"), 1) is None
