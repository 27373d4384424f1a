"""Fixtures every test may use."""

from __future__ import annotations

from tests.stack_fixture import fresh_database, own_folder, stack, topic_prefix

__all__ = ["fresh_database", "own_folder", "stack", "topic_prefix"]
