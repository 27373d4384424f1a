"""Reading topics that all tests of a session write to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from google.protobuf.message import DecodeError, Message

M = TypeVar("M", bound=Message)


def readable(kind: type[M], values: Iterable[bytes]) -> Iterator[M]:
    """The messages of a topic, without those that other tests wrote unreadable on purpose.

    A message of the reader's own that were garbled would be missed where the test looks for it.
    """
    for value in values:
        try:
            yield kind.FromString(value)
        except DecodeError:
            continue
