"""A demo from its first step to its report."""

from __future__ import annotations

import asyncio
import json
import shutil
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import structlog

from deploy.stack.services import SERVICES
from deploy.stack.stack import LocalStack
from gateway.config import WEB_DIST
from node.running import registered
from node.tokens import TokenSigner
from shard_router.audit.checks import audit
from shard_router.client import Directory
from simulator.demo import pages
from simulator.demo.facts import database, logs, shards
from simulator.demo.facts.fix_ages import hop_buckets, percentiles
from simulator.demo.monitor import Monitor
from simulator.demo.options import Options
from simulator.demo.report import RunFacts, report
from simulator.demo.scenes import Play, Scene, scene_of, stored
from simulator.demo.screen import CityLine, Screen, Summary
from simulator.demo.town import Endpoints, Town
from simulator.drive.tokens import Tokens

_SHOW_EVERY_S = 0.5
_OPS_TOKEN_TTL_S = 24 * 3600
#: Positions looked back at for the live summary.
_RECENT = 2000


class Brake:
    """Ctrl-C: while it sets up, away with everything; while it runs, an orderly end; twice, away."""

    def __init__(self) -> None:
        self.stop = asyncio.Event()
        self.running = False
        self._task = asyncio.current_task()

    def pull(self) -> None:
        """Ask the demo to end."""
        if (self.stop.is_set() or not self.running) and self._task is not None:
            self._task.cancel()
        self.stop.set()


@dataclass(frozen=True, slots=True)
class Run:
    """A demo under way."""

    options: Options
    scene: Scene
    play: Play
    screen: Screen
    stack: LocalStack
    town: Town
    monitor: Monitor
    began_s: float

    @property
    def elapsed_s(self) -> float:
        """Wall seconds since the city came alive."""
        return time.monotonic() - self.began_s


async def demo(options: Options, screen: Screen, brake: Brake) -> int:
    """Runs until the time is over or the brake is pulled; returns the exit code."""
    with screen.step("scene"):
        scene = await scene_of(options, screen)
    await _pages(screen)
    folder = options.folder or Path(tempfile.mkdtemp(prefix="forno-demo-"))
    code = 1
    try:
        code = await _on_a_stack(options, scene, screen, brake, folder)
    finally:
        if options.folder is None and (code == 0 or brake.stop.is_set()):
            shutil.rmtree(folder, ignore_errors=True)
        else:
            screen.say(f"Logs and data are in {folder}")
    return code


async def _pages(screen: Screen) -> None:
    if (WEB_DIST / "index.html").is_file():
        return
    with screen.step("web pages (once)"):
        why_not = await pages.build(WEB_DIST)
    if why_not:
        screen.complain(f"No web page: {why_not}. Everything else runs.")


async def _on_a_stack(options: Options, scene: Scene, screen: Screen, brake: Brake, folder: Path) -> int:
    stack = LocalStack(folder, kafka=options.kafka, services=SERVICES, settings=_settings(scene, folder))
    _log_to(folder / "logs" / "city.log")
    async with AsyncExitStack() as exit_:
        exit_.enter_context(registered("forno demo", folder))
        await exit_.enter_async_context(_shown(stack, screen))
        signer = TokenSigner(Path(stack.env["FORNO_JWT_PRIVATE_KEY_FILE"]))
        directory = Directory(stack.env["FORNO_ROUTER_ADDRESS"], structlog.get_logger(part="directory"))
        exit_.push_async_callback(directory.close)
        await directory.start()
        with screen.step("riders, restaurants, customers"):
            play = await asyncio.to_thread(scene.people, scene.clock.domain_ms())
            endpoints = Endpoints(stack.env["FORNO_GATEWAY_URL"], stack.env["FORNO_TRACKING_ADDRESS"])
            town = await exit_.enter_async_context(Town(play.cities, endpoints, Tokens(signer), scene.clock))
        monitor = Monitor(directory, scene.cities, f"{stack.env['FORNO_POSTGRES_URL']}/core")
        for background in (directory.run(), monitor.run()):
            exit_.push_async_callback(_end, asyncio.create_task(background))
        token = signer.sign("ops", "demo", ttl_s=_OPS_TOKEN_TTL_S)
        run = Run(options, scene, play, screen, stack, town, monitor, time.monotonic())
        brake.running = True
        screen.say(f"Live map: {endpoints.gateway_url}/#token={token}")
        if (kitchen := _kitchen(play, endpoints, signer)) is not None:
            screen.say(f"A kitchen: {kitchen}")
        screen.say("In another terminal: forno shards list, forno orders recent la-serena, forno token ops me")
        await _live(run, brake.stop)
        return await _finish(run)


def _kitchen(play: Play, endpoints: Endpoints, signer: TokenSigner) -> str | None:
    """The page of the kitchen that most is ordered from."""
    for city in play.cities:
        for restaurant in city.restaurants[:1]:
            name = restaurant.restaurant_id
            token = signer.sign("restaurant", name, ttl_s=_OPS_TOKEN_TTL_S, city=city.city)
            return f"{endpoints.gateway_url}/kitchen/{quote(name, safe='')}#token={token}"
    return None


def _log_to(path: Path) -> None:
    """The city's own log: the terminal is for the summary."""
    path.parent.mkdir(parents=True, exist_ok=True)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.WriteLoggerFactory(file=path.open("a", encoding="utf-8", buffering=1)),
    )


def _settings(scene: Scene, folder: Path) -> dict[str, str]:
    """Settings of every service of the demo: the scene's clock, cities and parameters."""
    clock = scene.clock
    return {
        **scene.settings,
        "FORNO_CLOCK_SPEED": str(clock.speed),
        "FORNO_CLOCK_ANCHOR_WALL_MS": str(clock.anchor_wall_ms),
        "FORNO_CLOCK_ANCHOR_DOMAIN_MS": str(clock.anchor_domain_ms),
        "FORNO_CITIES": ",".join(scene.cities),
        "FORNO_PARAMS_FILE": str(stored(folder, scene.params)),
    }


@asynccontextmanager
async def _shown(stack: LocalStack, screen: Screen) -> AsyncIterator[None]:
    """The stack runs inside; how long it takes to start and to stop is told."""
    async with AsyncExitStack() as exit_:
        with screen.step("servers and services"):
            await exit_.enter_async_context(stack)
        yield
        with screen.step("stop"):
            await exit_.aclose()


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def _live(run: Run, stop: asyncio.Event) -> None:
    """The city lives until its time is over. Raises what ended a part of it."""
    with run.screen.live():
        while not stop.is_set() and not _is_over(run):
            run.town.check()
            run.screen.show(_summary(run))
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), _SHOW_EVERY_S)


def _is_over(run: Run) -> bool:
    if run.options.seconds is not None and run.elapsed_s >= run.options.seconds:
        return True
    if run.play.ends_ms is not None and run.scene.clock.domain_ms() >= run.play.ends_ms:
        return True
    answered = len(run.town.placed) + sum(run.town.refused.values())
    return run.play.orders is not None and answered >= run.play.orders and _delivered(run) >= len(run.town.placed)


def _delivered(run: Run) -> int:
    return sum(run.monitor.delivered.values())


def _summary(run: Run) -> Summary:
    town, clock = run.town, run.scene.clock
    ages = town.watchers.age_ms[-_RECENT:]
    p50, p99 = np.percentile(ages, (50, 99)) if ages else (None, None)
    cities = [_city_line(run, city) for city in run.scene.cities]
    seconds = run.options.seconds
    return Summary(
        city_time=datetime.fromtimestamp(clock.domain_ms() / 1000, run.scene.zone).strftime("%a %H:%M"),
        elapsed_s=run.elapsed_s,
        left_s=None if seconds is None else seconds - run.elapsed_s,
        placed=len(town.placed),
        refused=sum(town.refused.values()),
        delivered=_delivered(run),
        fixes_sent=town.fleet.fixes_sent,
        fixes_waiting=town.fleet.waiting,
        without_signal=town.fleet.without_signal,
        watching=town.watchers.open,
        fix_age_p50_ms=p50,
        fix_age_p99_ms=p99,
        cities=cities,
    )


def _city_line(run: Run, city: str) -> CityLine:
    last, delivered = run.monitor.last.get(city), run.monitor.delivered.get(city, 0)
    if last is None:
        return CityLine(city, "–", 0, 0, 0, delivered, 0.0)
    now = last.counters
    return CityLine(city, last.shard_id, last.epoch, now.riders_online, now.orders_open, delivered, now.tick_p99_ms)


async def _finish(run: Run) -> int:
    """The end of a run: nobody orders, everybody's word is acknowledged; then the report is made of what is there."""
    if run.options.seconds is None and run.options.report is None and run.play.orders is None:
        return 0
    with run.screen.step("drain and count"):
        found = await _findings(run)
    document = report(found)
    if run.options.report is not None:
        run.options.report.write_text(json.dumps(document, indent=2) + "\n")
    _tell(run.screen, document)
    return 1 if document["broken"] else 0


async def _findings(run: Run) -> RunFacts:
    town, env, seconds = run.town, run.stack.env, run.elapsed_s
    at_hops = await hop_buckets(run.stack.metrics)
    await town.stop_ordering()
    unsettled = await town.settle()
    logged = await logs.logged_fixes(env["FORNO_KAFKA_URL"])
    applied = await shards.applied_of(env["FORNO_ROUTER_ADDRESS"], run.scene.cities, logged)
    carriers = await logs.carriers(env["FORNO_KAFKA_URL"])
    postgres = env["FORNO_POSTGRES_URL"]
    return RunFacts(
        seed=run.options.seed,
        speed=run.scene.clock.speed,
        seconds=seconds,
        versions={row.name: row.version for row in run.stack.manifest().parts if row.kind != "service"},
        shards=await shards.shard_rows(env["FORNO_ROUTER_ADDRESS"]),
        hops_ms={hop: percentiles(buckets) for hop, buckets in at_hops.items()},
        orders_placed=len(town.placed),
        orders_refused=town.refused,
        order_statuses=await database.order_statuses([f"{postgres}/orders_{n}" for n in range(2)]),
        dispatch=await database.dispatch_facts(f"{postgres}/core"),
        carried_twice=[order_id for order_id, riders in carriers.items() if len(riders) > 1],
        fixes_sent=town.fleet.fixes_sent,
        fixes_acked=logs.fix_keys(town.fleet.acked_fixes()),
        fixes_unsettled=unsettled,
        messages_refused=town.fleet.refused,
        logged=logged,
        applied=applied,
        fix_age_ms=np.array(town.watchers.age_ms),
        fix_was_offline=np.isin(np.array(town.watchers.fix_ms), list(town.fleet.made_offline_ms())),
        watched=town.watchers.watched,
        frames=town.watchers.frames,
        parts_restarted={row.name: row.restarts for row in run.stack.manifest().parts if row.restarts},
        audit=await audit(f"{postgres}/core"),
    )


def _tell(screen: Screen, document: dict[str, Any]) -> None:
    orders, pings, screen_ms = document["orders"], document["pings"], document["fix_to_screen_ms"]
    hops = ", ".join(f"{hop} {ages['p50']}" for hop, ages in document["fix_age_at_hops_ms"].items())
    screen.say(
        f"orders: {orders['placed']} placed, {orders['delivered']} delivered,"
        f" {orders['double_assigned']} assigned twice\n"
        f"pings: {pings['sent']} sent, {pings['acked']} acknowledged = {pings['applied']} applied"
        f" + {pings['superseded']} superseded\n"
        f"fix to screen: p50 {screen_ms['p50']} ms, p99 {screen_ms['p99']} ms over {screen_ms['samples']} frames"
        f" ({hops})"
    )
    for line in document["broken"]:
        screen.complain(f"BROKEN: {line}")
