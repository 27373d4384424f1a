"""Riders, customers and watchers for Locust. `python -m benchmarks.load` starts a stack and runs this on it."""

# gevent first: locust patches the standard library on import, gRPC must be told, and only then may anything else load.
import locust  # isort: skip
import grpc.experimental.gevent  # isort: skip

grpc.experimental.gevent.init_gevent()

import json  # noqa: E402
from uuid import uuid4  # noqa: E402

import gevent  # noqa: E402
import grpc  # noqa: E402
from locust import FastHttpUser, User, between, constant, events, task  # noqa: E402
from websockets.exceptions import ConnectionClosed  # noqa: E402
from websockets.sync.client import connect  # noqa: E402

from benchmarks.load.stream import RiderStream  # noqa: E402
from benchmarks.load.world import CITY, LoadWorld  # noqa: E402
from simulator.city import actions as act  # noqa: E402
from simulator.city.rider import Rider  # noqa: E402
from simulator.drive.app import fix_row, messages_of, mind_hears  # noqa: E402
from simulator.drive.customers import order_body  # noqa: E402
from tracking.client.values import Event, Refused  # noqa: E402

WORLD = LoadWorld()
#: Streams share a few connections, as riders behind one load balancer do.
CHANNELS = [
    grpc.insecure_channel(WORLD.tracking_address, options=(("grpc.use_local_subchannel_pool", 1),)) for _ in range(4)
]
FINAL = ("delivered", "completed", "cancelled", "declined", "failed")
#: Sockets this many seconds old are closed: the test must end.
WATCH_S = 60


class RiderUser(User):
    """A rider who drives, answers offers and delivers; every message's acknowledgement is a request."""

    weight = 4
    wait_time = constant(0.1)

    def on_start(self) -> None:
        self.mind: Rider = next(WORLD.minds)
        rider_id = self.mind.profile.rider_id
        token = WORLD.tokens.get("rider", str(rider_id), city=CITY)
        channel = CHANNELS[rider_id % len(CHANNELS)]
        self.stream = RiderStream(channel, token, WORLD.clock, self._heard, self._acked, self._ended)

    def on_stop(self) -> None:
        self.stream.close()

    @task
    def live(self) -> None:
        now_ms = WORLD.clock.domain_ms()
        if self.mind.due_ms() <= now_ms:
            self._do(self.mind.step(now_ms))

    def _heard(self, event: Event) -> None:
        if isinstance(event, Refused):
            fire(self, "gRPC", "message", 0, RuntimeError(f"{event.reason}: {event.message}"))
        self._do(mind_hears(self.mind, event, WORLD.clock.domain_ms()))

    def _do(self, actions: list[act.Action]) -> None:
        for action in actions:
            if isinstance(action, act.Fix):
                self.stream.fix(fix_row(action))
            else:
                for message in messages_of(action, self.mind.profile):
                    self.stream.event(message)

    def _acked(self, kind: str, took_ms: float) -> None:
        fire(self, "gRPC", f"{kind} to ack", took_ms)

    def _ended(self, error: Exception | None) -> None:
        fire(self, "gRPC", "stream", 0, error or RuntimeError("the edge ended the stream"))


class CustomerUser(FastHttpUser):
    """Orders over HTTP, then watches the order over a WebSocket until it is final."""

    weight = 1
    wait_time = between(2, 5)

    @task
    def order(self) -> None:
        draft = WORLD.city.customers.order()
        headers = {
            "authorization": f"Bearer {WORLD.tokens.get('user', draft.user_id)}",
            "idempotency-key": str(uuid4()),
        }
        with self.client.post(
            "/v1/orders", json=order_body(CITY, draft), headers=headers, catch_response=True
        ) as answer:
            if answer.status_code != 201:
                answer.failure(f"{answer.status_code}: {answer.text}")
                return
            placed = answer.json()
        gevent.spawn(self._watch, f"{placed['live_url']}?token={placed['tracking_token']}")

    @task
    def look(self) -> None:
        self.client.get("/v1/cities")

    def _watch(self, url: str) -> None:
        try:
            with gevent.Timeout(WATCH_S, False), connect(url, proxy=None) as socket:
                for frame in socket:
                    if self._seen(json.loads(frame)):
                        return
        except (ConnectionClosed, OSError) as error:
            fire(self, "WS", "watch", 0, error)

    def _seen(self, frame: dict) -> bool:
        if frame["type"] == "position" and frame.get("ts_ms"):
            age_ms = WORLD.clock.wall_ms() - WORLD.clock.wall_of_domain_ms(frame["ts_ms"])
            fire(self, "WS", "fix to screen", age_ms)
        return frame.get("status") in FINAL


def fire(user: User, kind: str, name: str, took_ms: float, error: Exception | None = None) -> None:
    """Tells locust of something that was measured, or that failed."""
    user.environment.events.request.fire(
        request_type=kind, name=name, response_time=took_ms, response_length=0, exception=error, context={}
    )


@events.quitting.add_listener
def nothing_is_a_failure_too(environment: locust.env.Environment, **_: object) -> None:
    """A run in which a kind of traffic did not happen proves nothing."""
    for name, kind in (("fix to ack", "gRPC"), ("/v1/orders", "POST"), ("fix to screen", "WS")):
        if environment.stats.get(name, kind).num_requests == 0:
            print(f"no {kind} {name!r} in the whole run")
            environment.process_exit_code = 1
