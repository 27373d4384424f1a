"""Ids of the events a city has read, to drop repetitions."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

#: Ids of events that are remembered, to drop repetitions. A repetition comes within seconds of its first.
REMEMBERED_IDS = 20_000


class SeenIds:
    """The last ids, oldest forgotten first."""

    def __init__(self, ids: Iterable[str] = ()) -> None:
        self._ids: OrderedDict[str, None] = OrderedDict()
        for event_id in ids:
            self.first_time(event_id)

    def first_time(self, event_id: str) -> bool:
        """Whether the id is new; it is remembered from now on."""
        if event_id in self._ids:
            return False
        self._ids[event_id] = None
        if len(self._ids) > REMEMBERED_IDS:
            self._ids.popitem(last=False)
        return True
