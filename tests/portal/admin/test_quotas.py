"""Quotas in the back office: shown with their use, set through the actions."""

import pytest
from django.test import Client
from django.urls import reverse

from broker.access.models import Quota
from broker.events.models import Event
from tests.portal.api.conftest import make_vm  # noqa: F401 - a fixture

pytestmark = pytest.mark.urls("tests.portal.admin.urls")
NEW = {"mode": "enforced", "threshold_percent": 80, "grace_percent": 0}


@pytest.fixture
def client_of(world):
    def make(name):
        client = Client()
        client.force_login(getattr(world, name))
        return client

    return make


def test_one_is_set_shown_changed_and_removed(client_of, world, make_vm):  # noqa: F811
    root = client_of("root")
    make_vm("one", owner=world.bob, power="running")
    answer = root.post(
        reverse("admin:access_quota_add"), {**NEW, "group": str(world.staff.pk), "each": "on", "running": 4}
    )
    assert answer.status_code == 302, answer.content.decode()[-3000:]
    quota = Quota.objects.get()
    text = root.get(reverse("admin:access_quota_changelist")).content.decode()
    assert "each of staff" in text and "Running: 1 / 4" in text
    changed = {**NEW, "mode": "audit", "running": 5, "grace_percent": 50, "grace_hours": 48}
    root.post(reverse("admin:access_quota_change", args=[quota.pk]), changed)
    quota.refresh_from_db()
    assert (quota.mode, quota.running, quota.each, quota.grace_hours) == ("audit", 5, True, 48)
    root.post(reverse("admin:access_quota_delete", args=[quota.pk]), {"post": "yes"})
    assert not Quota.objects.exists()
    kinds = set(Event.objects.filter(kind__startswith="quota.").values_list("kind", flat=True))
    assert kinds == {"quota.created", "quota.changed", "quota.deleted"}


def test_what_the_action_refuses_is_not_written(client_of, world):
    root = client_of("root")
    root.post(reverse("admin:access_quota_add"), {**NEW, "user": str(world.bob.pk), "group": str(world.staff.pk)})
    root.post(reverse("admin:access_quota_add"), {**NEW, "user": str(world.bob.pk)})
    assert not Quota.objects.exists()


def test_an_auditor_looks_and_sets_nothing(client_of, world):
    world.grant(world.bob, "auditor")
    Quota.objects.create(user=world.alice, running=1)
    bob = client_of("bob")
    assert "alice" in bob.get(reverse("admin:access_quota_changelist")).content.decode()
    answer = bob.post(reverse("admin:access_quota_add"), {**NEW, "user": str(world.bob.pk), "running": 9})
    assert answer.status_code == 403 and Quota.objects.count() == 1
