"""A rider's stream for gevent: a synchronous stub, and the SDK's own outbox and wire format."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import grpc
from gevent import spawn
from gevent.queue import Queue

from node.clock import Clock
from proto.tracking.v1 import rider_link_pb2 as pb
from proto.tracking.v1.rider_link_pb2_grpc import RiderLinkStub
from tracking.client import wire
from tracking.client.send_buffer import Reply, SendBuffer, Status
from tracking.client.values import Event

#: kind ("fix" or "event") and wall milliseconds from sending to the acknowledgement.
OnAck = Callable[[str, float], None]


class RiderStream:
    """One session. It does not connect again: a broken stream is a failure of the test."""

    def __init__(
        self,
        channel: grpc.Channel,
        token: str,
        clock: Clock,
        on_event: Callable[[Event], None],
        on_ack: OnAck,
        on_end: Callable[[Exception | None], None],
    ) -> None:
        self._clock = clock
        self._on_event = on_event
        self._on_ack = on_ack
        self._on_end = on_end
        self._buffer = SendBuffer()
        self._up: Queue = Queue(maxsize=1000)
        self._sent: dict[int, tuple[str, float]] = {}
        self._up.put(wire.hello(clock.domain_ms(), 0, "forno-locust/1"))
        self._call = RiderLinkStub(channel).Connect(self._requests(), metadata=(("authorization", f"Bearer {token}"),))
        self._reader = spawn(self._read)

    def fix(self, row: tuple[int, int, int, int, int, int]) -> None:
        """Sends a fix: (ts_ms, lat_e7, lng_e7, accuracy_dm, heading_cdeg, speed_cms)."""
        self._buffer.fix(row)
        self._pump()

    def event(self, event: Reply | Status) -> None:
        """Sends a reply or a status."""
        self._buffer.event(event)
        self._pump()

    def close(self) -> None:
        """Hangs up."""
        self._on_end = lambda _: None
        self._up.put(None)
        self._call.cancel()

    def _requests(self) -> Iterator[pb.ConnectRequest]:
        while (message := self._up.get()) is not None:
            yield message

    def _pump(self) -> None:
        """Sends what waits, once the session is open."""
        while self._buffer.session and (message := self._buffer.next_message()) is not None:
            kind = "event" if hasattr(message, "event") else "fix"
            self._sent[message.last_seq] = (kind, self._clock.monotonic_s())
            self._up.put(wire.request(message))

    def _read(self) -> None:
        try:
            for response in self._call:
                self._heard(response)
        except grpc.RpcError as error:
            self._on_end(error)
            return
        self._on_end(None)

    def _heard(self, response: pb.ConnectResponse) -> None:
        kind = response.WhichOneof("kind")
        if kind == "welcome":
            self._buffer.opened(response.welcome.session)
            self._pump()
        elif kind == "ack":
            self._acked(response.ack.seq)
        elif kind == "offer":
            self._up.put(wire.seen(response.offer.offer_id))
            self._on_event(wire.offer(response.offer))
        elif (event := wire.event(response, self._buffer.session)) is not None:
            self._on_event(event)

    def _acked(self, seq: int) -> None:
        self._buffer.ack(seq)
        now_s = self._clock.monotonic_s()
        for sent in [sent for sent in self._sent if sent <= seq]:
            kind, at_s = self._sent.pop(sent)
            self._on_ack(kind, (now_s - at_s) * 1000)
