"""Parse commands of a kitchen's screen and answer them."""

from __future__ import annotations

from typing import Any

import orjson

from gateway.live import frames
from gateway.live.kitchen.model import Command, Ticket
from node.errors import FornoError, Invalid

KINDS = ("accept", "reject", "ready", "ready_in", "auto_accept")
#: A screen numbers its commands; the answer carries the number.
_MAX_ID = 64


def parse(message: str | bytes) -> tuple[str, Command]:
    """The id and the command: `{"id": "7", "type": "accept", "order_id": …, "seconds": 600}`. Raises `Invalid`."""
    try:
        body = orjson.loads(message)
    except orjson.JSONDecodeError:
        raise Invalid("message", "is no JSON", reason="BAD_MESSAGE") from None
    if not isinstance(body, dict):
        raise Invalid("message", "is no JSON object", reason="BAD_MESSAGE")
    kind = _of(body, "type", str, "")
    if kind not in KINDS:
        raise Invalid("type", f"one of {', '.join(KINDS)}", reason="BAD_COMMAND")
    command = Command(
        kind,
        _of(body, "order_id", str, ""),
        _of(body, "seconds", int, 0),
        _of(body, "reason", str, ""),
        _of(body, "on", bool, False),
    )
    if not -(1 << 31) <= command.seconds < 1 << 31:
        raise Invalid("seconds", "does not fit", reason="BAD_NUMBER")
    return _of(body, "id", str, "")[:_MAX_ID], command


def id_of(message: str | bytes) -> str:
    """The id of a message that may be nonsense, so that its refusal can name it."""
    try:
        found = orjson.loads(message)["id"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return ""
    return found[:_MAX_ID] if isinstance(found, str) else ""


def done(command_id: str, ticket: Ticket | None, changed: bool) -> bytes:
    """The answer to a command that was obeyed, now or before."""
    return frames.json_frame(
        {"type": "done", "id": command_id, "changed": changed, "ticket": ticket.body if ticket else None}
    )


def refused(command_id: str, error: FornoError) -> bytes:
    """The answer to a command that was not."""
    return frames.json_frame(
        {
            "type": "refused",
            "id": command_id,
            "reason": error.reason,
            "message": str(error),
            "field": error.details.get("field", ""),
        }
    )


def _of(body: dict[str, Any], name: str, kind: type[Any], default: Any) -> Any:
    value = body.get(name, default)
    if type(value) is not kind:
        raise Invalid(name, f"must be a {kind.__name__}", reason="BAD_MESSAGE")
    return value
