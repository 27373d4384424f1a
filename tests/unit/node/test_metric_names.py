"""All metrics follow one scheme, have a meaning, and are declared once, in a package's `metrics.py`."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest
from prometheus_client import Counter, Gauge, Histogram

ROOT = Path(__file__).parents[3]
PACKAGES = ("dispatch", "gateway", "node", "orders", "shard_router", "tracking")
#: `node/set_aside.py` declares its metrics itself.
MODULES = sorted(
    ".".join(file.relative_to(ROOT).with_suffix("").parts)
    for package in PACKAGES
    for file in (*(ROOT / package).rglob("metrics.py"), *(ROOT / package).glob("set_aside.py"))
)
#: Payments are a service of their own within `orders`.
PREFIXES = {"orders.payments.metrics": "forno_payments_"}

Metric = Counter | Gauge | Histogram


def declared(module: str) -> list[Metric]:
    """The metrics of a module."""
    return [value for value in vars(import_module(module)).values() if isinstance(value, Metric)]


@pytest.mark.parametrize("module", MODULES)
def test_names_units_and_meanings(module: str) -> None:
    """`forno_<package>_<what>_<unit>`: a counter is a `_total`, a distribution has a unit, a gauge is no total."""
    metrics = declared(module)
    assert metrics
    prefix = PREFIXES.get(module, f"forno_{module.partition('.')[0]}_")
    for metric in metrics:
        (family,) = tuple(metric.describe())
        assert family.name.startswith(prefix), family.name
        assert len(family.documentation) >= 10, family.name
        assert not any(family.name.endswith(f"_{word}") for word in ("total", "seconds", "count")), family.name
        if isinstance(metric, Histogram):
            assert family.name.endswith(("_ms", "_s", "_bytes", "_m")), family.name


def test_no_name_twice() -> None:
    """Nor one for two packages."""
    names = [next(iter(metric.describe())).name for module in MODULES for metric in declared(module)]
    assert len(names) == len(set(names)) >= 60


def test_none_is_declared_elsewhere() -> None:
    """A reader finds all of a package's in its lists."""
    found = {
        ".".join(file.relative_to(ROOT).with_suffix("").parts)
        for package in PACKAGES
        for file in (ROOT / package).rglob("*.py")
        if any(f"= {kind}(" in file.read_text() for kind in ("counter", "gauge", "histogram"))
    }
    assert found == set(MODULES)
