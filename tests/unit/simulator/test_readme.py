"""The snippet of the package's README runs as it stands there."""

from __future__ import annotations

import re
from pathlib import Path

README = Path(__file__).parents[3] / "simulator" / "README.md"


def test_the_snippet_runs() -> None:
    """One rider, by hand."""
    [snippet] = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    exec(compile(snippet, str(README), "exec"), {})
