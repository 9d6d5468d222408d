"""The alert rules and the dashboard speak of metrics, labels and values that /metrics really tells."""

import json
import re
from pathlib import Path

import pytest
import yaml
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families

from broker.connections.models import TimingTotal
from broker.connections.timing_duty import BOUNDS
from broker.jobs.states import JobState
from broker.virt.driver import PowerState
from pools.models import Desktop
from pools.states import DesktopState
from tests.portal.api.conftest import make_desktop, make_pool, make_vm  # noqa: F401 - fixtures

FOLDER = Path(__file__).resolve().parents[2] / "deploy" / "monitoring"
VALUES = {"power": set(PowerState), "state": {*JobState, *DesktopState}, "is": {"up", "down", "maintenance"},
          "phase": {"total"}}  # fmt: skip


def expressions() -> list[str]:
    rules = yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"][0]["rules"]
    panels = json.loads((FOLDER / "grafana.json").read_text())["panels"]
    return [rule["expr"] for rule in rules] + [part["expr"] for panel in panels for part in panel["targets"]]


@pytest.fixture
def told(world, make_pool, make_desktop) -> dict[str, set[str]]:  # noqa: F811
    """Sample name → its labels, scraped with one of everything there."""
    pool = make_pool("seats")
    make_desktop(pool, 1)
    assert Desktop.objects.exists()
    TimingTotal.objects.create(pool=str(pool.pk), phase="total", buckets=[0] * (len(BOUNDS) + 1), sum_ms=0)
    text = Client().get("/metrics").content.decode()
    samples = [one for family in text_string_to_metric_families(text) for one in family.samples]
    # Without anybody at a screen there is no sample of sessions; its label is in the code.
    return {one.name: set(one.labels) for one in samples} | {"berth_sessions_open": {"purpose"}, "up": {"job"}}


def test_every_metric_label_and_value_is_there(told):
    found = set()
    for text in expressions():
        for name, chosen in re.findall(r"\b(berth_\w+|up)\b(?:\{([^}]*)\})?", text):
            assert name in told, f"{name} in {text}"
            found.add(name)
            for label, value in re.findall(r'(\w+)\s*=?[=~!]~?"([^"]*)"', chosen):
                assert label in told[name], f"{label} of {name}"
                assert label not in VALUES or set(value.split("|")) <= VALUES[label], f"{label}={value}"
        for labels in re.findall(r"by \(([^)]*)\)", text):
            assert set(re.split(r",\s*", labels)) <= set().union(*told.values()), text
    assert len(found) >= 8


def test_every_alert_says_what_would_help():
    rules = yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"][0]["rules"]
    assert len({rule["alert"] for rule in rules}) == len(rules) >= 7
    assert all(rule["annotations"]["summary"] and rule["annotations"]["fix"] and rule["for"] for rule in rules)
