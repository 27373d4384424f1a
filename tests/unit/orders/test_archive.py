"""The archive without a database: what it refuses, how far a list looks back, what a night says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import structlog

from node.errors import Invalid
from orders import cli
from orders.archive.archiver import Archiver
from orders.archive.files import Files


@pytest.mark.parametrize("months", ["-3", "0", "1.5", "half"])
def test_the_month_that_takes_orders_cannot_be_named(months: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`--older-than-months -3` would drop this month and the next two."""
    with pytest.raises(SystemExit) as raised:
        cli.main(["archive", "--older-than-months", months])
    assert raised.value.code == 2
    assert "at least 1" in capsys.readouterr().err


async def test_months_that_have_not_ended_are_refused(tmp_path: Path) -> None:
    """Before any database is asked: this one does not exist."""
    archiver = Archiver("orders_0", "postgresql://nowhere/none", Files.at(str(tmp_path)), structlog.get_logger())
    with pytest.raises(Invalid, match="not past"):
        await archiver.archive(datetime.now(UTC) + timedelta(days=1))
