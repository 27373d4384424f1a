"""Ports that stay ours."""

from __future__ import annotations

import socket

from deploy.stack.ports import Ports, _ephemeral_start


def test_ports_are_distinct_over_two_stacks() -> None:
    """Two stacks that choose ports before either server listens never choose the same one."""
    with Ports() as one, Ports() as other:
        taken = [ports.take() for _ in range(200) for ports in (one, other)]
    assert len(set(taken)) == len(taken)


def test_ports_lie_below_those_of_outgoing_connections() -> None:
    """A port cannot be lost to an outgoing connection while its server restarts."""
    with Ports() as ports:
        assert all(1024 < ports.take() < _ephemeral_start() for _ in range(50))


def test_a_port_somebody_listens_on_is_not_taken() -> None:
    """A foreign server on a free-looking port is seen."""
    with Ports() as ports, socket.socket() as server:
        port = ports.take()
        ports.close()
        server.bind(("127.0.0.1", port))
        server.listen()
        assert port not in {ports.take() for _ in range(300)}
