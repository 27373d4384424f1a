"""The list of services and the choice of servers."""

from __future__ import annotations

import importlib.util
from graphlib import TopologicalSorter

import pytest

from deploy.stack.errors import StackError
from deploy.stack.servers.choice import URL_SETTINGS
from deploy.stack.servers.kafka import broker_from
from deploy.stack.service import ServicePart
from deploy.stack.services import SERVICES


def test_services_need_only_what_there_is() -> None:
    """Names are unique, every need is a server or a service, and there is no circle."""
    names = [service.name for service in SERVICES]
    assert len(set(names)) == len(names)
    graph = {service.name: service.needs for service in SERVICES}
    order = list(TopologicalSorter(graph).static_order())
    assert set(order) <= set(names) | set(URL_SETTINGS)


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
def test_the_module_of_a_service_exists(service: object) -> None:
    """`python -m MODULE` finds something to run."""
    module = next(item for item in SERVICES if item is service).argv[-1]
    assert importlib.util.find_spec(module) is not None


def test_a_service_is_told_where_to_listen_and_tells_the_others() -> None:
    """The router's address is what it was told, under the name the others read."""
    router = ServicePart(SERVICES[0], 7001, 7002)
    assert router.command().env["FORNO_LISTEN"] == "127.0.0.1:7001"
    assert router.announced == {"FORNO_ROUTER_ADDRESS": "127.0.0.1:7001"}


@pytest.mark.parametrize(
    ("environ", "broker"),
    [({}, "embedded"), ({"FORNO_KAFKA": ""}, "embedded"), ({"FORNO_KAFKA": "apache"}, "apache")],
)
def test_the_broker_comes_from_the_environment(environ: dict[str, str], broker: str) -> None:
    """FORNO_KAFKA names it; without it, the embedded one."""
    assert broker_from(environ) == broker


def test_an_unknown_broker_is_refused_by_name() -> None:
    """The error names the setting and the value."""
    with pytest.raises(StackError, match=r"FORNO_KAFKA must be apache or embedded, not 'redpanda'"):
        broker_from({"FORNO_KAFKA": "redpanda"})
