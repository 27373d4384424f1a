"""What is installed for development only is needed by no service and no command."""

from __future__ import annotations

import ast
import re
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).parents[3]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
#: All but `proto`, whose generator only developers run, and `benchmarks`, which has a group of its own.
SHIPPED = ("node", "shard_router", "tracking", "dispatch", "orders", "gateway", "simulator", "deploy")


def names(requirements: list[str]) -> set[str]:
    """The distributions that are required."""
    return {re.split(r"[^A-Za-z0-9_.-]", line)[0].lower() for line in requirements}


def imported(folder: Path) -> set[str]:
    """The modules that the files of a folder import anywhere, by their first name."""
    found = set[str]()
    for file in folder.rglob("*.py"):
        if "node_modules" in file.parts:
            continue
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.partition(".")[0])
    return found


def test_no_shipped_module_imports_what_only_developers_have() -> None:
    """The image is installed without the groups: an import of theirs would end the process that meets it."""
    groups, needed = PROJECT["dependency-groups"], names(PROJECT["project"]["dependencies"])
    only_dev = names(groups["dev"]) - needed
    assert "duckdb" in only_dev
    by_module = packages_distributions()
    for package in SHIPPED:
        for module in imported(ROOT / package):
            distributions = {name.lower() for name in by_module.get(module, [])}
            assert not distributions & only_dev, f"{package} imports {module}"
