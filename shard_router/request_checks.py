"""Check numbers and texts of requests before they reach the database."""

from __future__ import annotations

from typing import Final

from node.documents import MAX_INTEGER
from node.errors import Invalid

_MAX_TEXT: Final = 200


def checked_number(field: str, value: int) -> int:
    """A number that the database can hold. Raises `Invalid`."""
    if value > MAX_INTEGER:
        raise Invalid(field, f"must be at most {MAX_INTEGER}, got {value}", reason="OUT_OF_RANGE")
    return value


def checked_text(field: str, text: str) -> str:
    """A name of at most 200 characters without control characters; may be empty. Raises `Invalid`."""
    if len(text) > _MAX_TEXT:
        raise Invalid(field, f"has {len(text)} characters, at most {_MAX_TEXT}", reason="TOO_LONG")
    if any(character < " " or character == "\x7f" for character in text):
        raise Invalid(field, "holds control characters", reason="BAD_TEXT")
    return text
