"""The life of a restaurant's socket: greeted, kept up to date, obeyed command by command."""

from __future__ import annotations

from contextlib import suppress

from websockets.exceptions import ConnectionClosed

from gateway import metrics
from gateway.errors import Forbidden
from gateway.live.connection import LiveConnection
from gateway.live.kitchen import commands
from gateway.live.kitchen.hub import KitchenHub
from gateway.live.kitchen.model import Kitchen
from gateway.live.socket_queue import SocketQueue
from node.errors import FornoError
from node.tokens import Subject


def kitchen_of(who: Subject, restaurant_id: str) -> Kitchen:
    """The kitchen that a token is for. Raises `Forbidden` when it is for another."""
    city = who.claims.get("city")
    if who.kind != "restaurant" or who.id != restaurant_id or not isinstance(city, str):
        raise Forbidden("this token is not for this restaurant")
    return Kitchen(city, restaurant_id)


async def serve_kitchen(hub: KitchenHub, connection: LiveConnection, kitchen: Kitchen, epoch: int, seq: int) -> None:
    """Serves a screen until it leaves. Commands are obeyed in turn: a screen that shouts waits for itself."""
    found = await hub.open(kitchen)
    queue = SocketQueue(connection, found.watch.snapshot)
    connection.queue = queue
    missed = found.watch.resumed(epoch, seq)
    for frame in missed if missed is not None else [found.watch.snapshot()]:
        queue.event(frame)
    found.queues.add(queue)
    try:
        with metrics.SOCKETS.labels("kitchen").track_inprogress(), suppress(ConnectionClosed):
            async for message in connection:
                queue.event(await _obeyed(hub, kitchen, message))
    finally:
        found.queues.discard(queue)


async def _obeyed(hub: KitchenHub, kitchen: Kitchen, message: str | bytes) -> bytes:
    try:
        command_id, command = commands.parse(message)
        ticket, changed = await hub.say(kitchen, command)
    except FornoError as error:
        metrics.KITCHEN_COMMANDS.labels(error.reason).inc()
        return commands.refused(commands.id_of(message), error)
    metrics.KITCHEN_COMMANDS.labels("done").inc()
    return commands.done(command_id, ticket, changed)
