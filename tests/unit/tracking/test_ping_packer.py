"""Packing: every good fix of every stream arrives once, in order, in its city; every bad batch is named."""

from __future__ import annotations

import random

import numpy as np
import pytest

from proto.fix_columns import IMPLAUSIBLE_JUMP
from tests.unit.tracking.worlds import LAT_E7, NOW_MS, batch
from tracking.engine.fix_checks import jumps, some_far
from tracking.engine.limits import Limits
from tracking.engine.ping_packer import PackedBatches, PingPacker
from tracking.engine.session import RiderSession
from tracking.engine.stream_table import StreamTable
from tracking.model import RiderId, SessionId

HOUR_MS = 3_600_000


def packer() -> PingPacker:
    """An empty one."""
    return PingPacker(StreamTable(), Limits())


def stream(box: PingPacker, rider: int, city: str = "la-serena") -> RiderSession:
    """A session that sends into the inbox."""
    row = box.table.add(rider, 1000 + rider, box.city_number(city))
    return RiderSession(RiderId(rider), SessionId(1000 + rider), city, row)


def put(box: PingPacker, session: RiderSession, first_seq: int, n: int = 1, **changed: object) -> None:
    """Adds a batch."""
    box.add(session, batch(first_seq, n, **changed), n, first_seq + n - 1)


def by_city(packed: PackedBatches) -> dict[str, list[tuple[int, int, int]]]:
    """(rider, session, seq) in the order of the columns."""
    return {
        city_batch.city: list(
            zip(
                city_batch.fixes.rider_id.tolist(),
                city_batch.fixes.session.tolist(),
                city_batch.fixes.seq.tolist(),
                strict=True,
            )
        )
        for city_batch in packed.city_batches
    }


def test_two_riders_in_two_cities() -> None:
    """Batches that came mixed are packed by city; each stream keeps its order."""
    box = packer()
    ana, ben = stream(box, 1), stream(box, 2, "coquimbo")
    put(box, ben, 1, 2)
    put(box, ana, 1)
    put(box, ben, 3)
    put(box, ana, 2, 2)
    assert by_city(box.pack(NOW_MS)) == {
        "la-serena": [(1, 1001, 1), (1, 1001, 2), (1, 1001, 3)],
        "coquimbo": [(2, 1002, 1), (2, 1002, 2), (2, 1002, 3)],
    }
    assert box.pack(NOW_MS) == PackedBatches((), (), ())


@pytest.mark.parametrize(
    ("field", "reason", "changed"),
    [
        ("pings.seq[1]", "seq_not_growing", {"seq": [5, 5, 6]}),
        ("pings.seq[2]", "seq_not_growing", {"seq": [5, 6, 4]}),
        ("pings.ts_ms[0]", "from_the_future", {"ts_ms": [NOW_MS + 5_001, NOW_MS, NOW_MS]}),
        ("pings.ts_ms[2]", "too_old", {"ts_ms": [NOW_MS, NOW_MS, NOW_MS - 2 * HOUR_MS - 1]}),
        ("pings.ts_ms[1]", "too_old", {"ts_ms": [NOW_MS, -(1 << 63), NOW_MS]}),
        ("pings.lat_e7[1]", "out_of_range", {"lat_e7": [0, 900_000_001, 0]}),
        ("pings.lat_e7[2]", "out_of_range", {"lat_e7": [0, 0, -900_000_001]}),
        ("pings.lng_e7[0]", "out_of_range", {"lng_e7": 1_800_000_001}),
        ("pings.heading_cdeg[0]", "out_of_range", {"heading_cdeg": 36_000}),
    ],
)
def test_bad_columns_are_named(field: str, reason: str, changed: dict[str, object]) -> None:
    """The first fault of a batch is told by its field; the batches around it are packed."""
    box = packer()
    ana, ben = stream(box, 1), stream(box, 2)
    put(box, ana, 1, 2)
    put(box, ben, 5, 3, **changed)
    put(box, ana, 3, 2)
    packed = box.pack(NOW_MS)
    assert [(s.rider_id, r.seq, r.field, r.reason) for s, r in packed.refused] == [
        (2, np.frombuffer(batch(5, 3, **changed)[0], "<u8")[0], field, reason)
    ]
    assert by_city(packed) == {"la-serena": [(1, 1001, seq) for seq in (1, 2, 3, 4)]}
    assert (packed.fixes, packed.fixes_refused) == (4, 3)
    assert [session for session, _ in packed.settled] == [ben], "nothing of ben waits for the log"


def test_edges_of_what_is_allowed() -> None:
    """The poles, the date line, five seconds ahead and two hours ago are fine."""
    box = packer()
    ana = stream(box, 1)
    put(box, ana, 1, 2, lat_e7=[900_000_000, -900_000_000], lng_e7=[1_800_000_000, -1_800_000_000])
    put(box, ana, 3, 2, ts_ms=[NOW_MS + 5_000, NOW_MS - 2 * HOUR_MS], heading_cdeg=35_999)
    packed = box.pack(NOW_MS)
    assert packed.refused == ()
    assert packed.fixes == 4


def test_jumps_are_marked_within_and_across_batches() -> None:
    """A fix 50 km away a second later is marked; the next one near it is not; another rider's is not compared."""
    box = packer()
    ana, ben = stream(box, 1), stream(box, 2)
    far = LAT_E7 + 4_500_000
    put(box, ana, 1, 3, lat_e7=[LAT_E7, LAT_E7 + 100, far], ts_ms=[NOW_MS - 3000, NOW_MS - 2000, NOW_MS - 1000])
    put(box, ben, 1, lat_e7=LAT_E7)
    first = box.pack(NOW_MS)
    put(box, ana, 4, lat_e7=far)
    put(box, ben, 2, lat_e7=far)
    second = box.pack(NOW_MS)
    flags = [city_batch.fixes.flags.tolist() for city_batch in (*first.city_batches, *second.city_batches)]
    assert flags == [[0, 0, IMPLAUSIBLE_JUMP, 0], [0, IMPLAUSIBLE_JUMP]]
    assert (first.jumps, second.jumps) == (1, 1)


def test_the_quick_look_overlooks_no_jump() -> None:
    """Of 5,000 random steps none that is a jump passes for near; nor is every step far."""
    seed, limits = 11, Limits()
    rng = np.random.default_rng(seed)
    seen = 0
    for _ in range(5_000):
        lat, lng = (np.array([round(step)]) for step in rng.normal(0, 40_000, 2))
        ts_ms = rng.integers(0, 5_000, 1)
        east = lng * np.cos(rng.uniform(-1.4, 1.4))
        near = not some_far(lat, lng, ts_ms, limits)
        seen += near
        jumped = jumps(lat, east, ts_ms, rng.uniform(0, 50, 1), limits)[0]
        assert not (near and jumped), f"seed {seed}: {lat} {lng} {ts_ms}"
    assert 500 < seen < 4_500


def test_the_date_line_is_no_jump() -> None:
    """From 179.9999 east to 179.9999 west are twenty metres."""
    box = packer()
    ana = stream(box, 1)
    put(box, ana, 1, 2, lat_e7=0, lng_e7=[1_799_999_000, -1_799_999_000])
    assert box.pack(NOW_MS).jumps == 0


def test_random_batches_against_a_plain_loop() -> None:
    """Twenty rounds of mixed streams, cities and faults: what is packed is what a loop over batches would keep."""
    for seed in range(20):
        draw = random.Random(seed)
        box = packer()
        streams = [stream(box, n, draw.choice(("la-serena", "coquimbo", "santiago"))) for n in range(1, 8)]
        seqs = dict.fromkeys(range(1, 8), 1)
        kept: dict[str, set[tuple[int, int, int]]] = {}
        refused: list[int] = []
        for _ in range(draw.randrange(1, 40)):
            who = draw.choice(streams)
            n = draw.randrange(1, 6)
            first = seqs[who.rider_id]
            seqs[who.rider_id] += n
            bad = draw.random() < 0.2
            lats = [LAT_E7] * n
            if bad:
                lats[draw.randrange(n)] = 950_000_000
                refused.append(who.rider_id)
            else:
                kept.setdefault(who.city, set()).update((who.rider_id, who.session, first + i) for i in range(n))
            put(box, who, first, n, lat_e7=lats)
        packed = box.pack(NOW_MS)
        assert {city: set(keys) for city, keys in by_city(packed).items()} == kept, f"seed {seed}"
        assert sorted(session.rider_id for session, _ in packed.refused) == sorted(refused), f"seed {seed}"
        for keys in by_city(packed).values():
            for rider in {key[0] for key in keys}:
                own = [seq for r, _, seq in keys if r == rider]
                assert own == sorted(own), f"seed {seed}"
        held = [ticket for city_batch in packed.city_batches for _, ticket in city_batch.held]
        held += [ticket for _, ticket in packed.settled]
        for who in streams:
            for ticket in held:
                who.ledger.settle(ticket)
            assert who.ledger.empty, f"seed {seed}: a ticket of rider {who.rider_id} is lost"
