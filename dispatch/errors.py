"""Errors of the city engine. Bad inputs are no errors: `apply` reports them as notes."""

from __future__ import annotations


class DispatchError(Exception):
    """Base of the errors of dispatch."""


class InvalidParams(DispatchError, ValueError):
    """A parameter is out of its range; the message names it."""


class InvalidEntity(DispatchError, ValueError):
    """A stored entity cannot be read; the message names class and field."""


class NonsenseSolution(DispatchError):
    """A solver returned an assignment that breaks a rule; the tick falls back to greedy."""
