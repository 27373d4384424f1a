"""Errors of the archive."""

from __future__ import annotations

from node.errors import FornoError


class ArchiveMismatch(FornoError):
    """A file of the archive is not what was written: nothing was dropped."""

    reason = "ARCHIVE_MISMATCH"
