"""The README's example runs."""

from __future__ import annotations

import re
from pathlib import Path

import orders


def test_the_example_in_the_readme_runs() -> None:
    """What a reader copies works."""
    text = (Path(orders.__file__).parent / "README.md").read_text()
    (example,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    exec(compile(example, "README.md", "exec"), {})
