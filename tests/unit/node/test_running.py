"""Who runs a command, where the system knows a name and where it does not."""

from __future__ import annotations

import os
import pwd

import pytest

from node.running import actor

_VARIABLES = ("LOGNAME", "USER", "LNAME", "USERNAME")


def nameless(_uid: int) -> pwd.struct_passwd:
    """As for `docker run --user 54321`."""
    raise KeyError("getpwuid(): uid not found")


@pytest.mark.parametrize(
    ("label", "user", "name"),
    [
        ("of the environment", "ana", "ana"),
        ("no name at all", "", f"uid {os.getuid()}"),
        ("bytes that are no text", "\udcff", f"uid {os.getuid()}"),
        ("control characters", "a\nb", f"uid {os.getuid()}"),
    ],
)
def test_a_command_has_an_actor(label: str, user: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The name, or the uid: something that a message and the database can carry."""
    for variable in _VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", nameless)
    monkeypatch.setenv("USER", user)
    assert actor() == name
