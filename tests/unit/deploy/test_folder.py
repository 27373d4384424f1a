"""The folder of a stack."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.stack.errors import FolderInUse, StackError
from deploy.stack.folder import Folder


def test_a_folder_has_one_owner(own_folder: Path) -> None:
    """The second stack is refused with the pid of the first."""
    first = Folder(own_folder)
    first.claim()
    with pytest.raises(FolderInUse, match=f"process {os.getpid()}") as refused:
        Folder(own_folder).claim()
    assert refused.value.pid == os.getpid()
    first.release()
    again = Folder(own_folder)
    again.claim()
    again.release()


def test_the_folder_of_a_killed_stack_is_free(own_folder: Path) -> None:
    """A lock file that names a dead process stops nobody."""
    claim_and_die = (
        "import os, sys; from pathlib import Path; from deploy.stack.folder import Folder;"
        "Folder(Path(sys.argv[1])).claim(); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", claim_and_die, str(own_folder)], check=False)
    folder = Folder(own_folder)
    folder.claim()
    folder.release()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    """A file in the way is an error of the stack, with the path in it."""
    (tmp_path / "file").touch()
    with pytest.raises(StackError, match=r"file/\.forno cannot be the folder"):
        Folder(tmp_path / "file" / ".forno").claim()


def test_the_tail_of_a_log(own_folder: Path) -> None:
    """The report of a death shows the last lines only."""
    folder = Folder(own_folder)
    folder.claim()
    folder.log("kafka").write_text("".join(f"line {number}\n" for number in range(5_000)))
    assert folder.log_tail("kafka", lines=2) == "  line 4998\n  line 4999"
    assert folder.log_tail("redis") == "  (no log)"
    folder.release()
