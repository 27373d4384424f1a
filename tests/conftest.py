"""Fixtures every test may use, and which tests come first."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.stack_fixture import fresh_database, own_folder, stack, topic_prefix

__all__ = ["fresh_database", "own_folder", "pytest_collection_modifyitems", "stack", "topic_prefix"]


@pytest.fixture(scope="session", autouse=True)
def _own_register(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A register of running stacks of the tests' own: whoever tests has perhaps a demo running."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("register")))
        yield


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The storm of `tests/prove` first: it times what customers see, and later it would share the cores with the
    servers that the first test which needs them starts for the whole session."""
    items.sort(key=lambda item: "prove" not in item.path.parts)
