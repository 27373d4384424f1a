"""Check numbers and texts of requests before they reach the database."""

from __future__ import annotations

from typing import Final

from google.protobuf.message import Message

from node.documents import MAX_INTEGER
from node.errors import Invalid
from proto.message_values import values_of

_MAX_TEXT: Final = 200
#: Texts that are documents, with checks and a limit of their own.
_DOCUMENTS: Final = frozenset({"feature_json"})


def check_request(request: Message) -> None:
    """Check every value, nested and repeated ones too: numbers that the database can hold, names of at most 200
    characters without control characters. Raises `Invalid`.
    """
    for field, path, value in values_of(request):
        if isinstance(value, str) and field.name not in _DOCUMENTS:
            _check_text(path, value)
        elif isinstance(value, int) and value > MAX_INTEGER:
            raise Invalid(path, f"must be at most {MAX_INTEGER}, got {value}", reason="OUT_OF_RANGE")


def _check_text(field: str, text: str) -> None:
    if len(text) > _MAX_TEXT:
        raise Invalid(field, f"has {len(text)} characters, at most {_MAX_TEXT}", reason="TOO_LONG")
    if any(character < " " or character == "\x7f" for character in text):
        raise Invalid(field, "holds control characters", reason="BAD_TEXT")
