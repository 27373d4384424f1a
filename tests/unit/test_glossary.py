"""`docs/glossary.md` names places that exist, and no word twice."""

from __future__ import annotations

import re
from pathlib import Path

_ROWS = [
    [cell.strip() for cell in line.strip("| ").split(" | ")]
    for line in Path("docs/glossary.md").read_text(encoding="utf-8").splitlines()
    if line.startswith("| ") and not line.startswith("| word ")
]


def test_every_word_has_one_meaning_and_a_place_that_exists() -> None:
    """Whoever moves or renames a file moves its words too."""
    words = [word for row in _ROWS for word in row[0].split(", ")]
    assert len(words) == len(set(words)) > 70
    places = [place for row in _ROWS for place in re.findall(r"`([a-z0-9_/.]+)`", row[2])]
    assert [place for place in places if not Path(place).exists()] == []
    assert all(re.search("`", row[2]) for row in _ROWS)
