"""Versions of riders' routes."""

from __future__ import annotations

#: A route's version is the tick that made it in the upper half; the lower half is the borrower's while a rider is lent.
#: So it only grows: lent out, back home, over changes of either owner.
VERSION_SHIFT = 32
