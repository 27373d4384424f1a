"""The Dockerfile and the compose file fit the code they run."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import yaml

from deploy.stack.services import SERVICES

ROOT = Path(__file__).parents[3]
COMPOSE = ROOT / "deploy" / "compose.yaml"


def test_compose_fits_its_schema() -> None:
    """The compose file obeys the compose specification."""
    command = ["check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(COMPOSE)]
    done = subprocess.run([sys.executable, "-m", *command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_compose_runs_what_the_local_stack_runs() -> None:
    """Every service of the local stack is in the compose file under the same module, and nothing else is."""
    services = yaml.safe_load(COMPOSE.read_text())["services"]
    ours = {name: body["command"][-1] for name, body in services.items() if body["image"].startswith("forno")}
    local = {service.name: service.argv[-1] for service in SERVICES}
    assert {**local, "prepare": "deploy.prepare"} == ours
    for module in ours.values():
        assert importlib.util.find_spec(module), module


def test_the_image_holds_every_package() -> None:
    """Each package of the wheel is copied into the image."""
    copied = set(re.findall(r"^COPY (\w+) \w+$", (ROOT / "deploy" / "Dockerfile").read_text(), re.MULTILINE))
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests"}
    assert copied == packages
