"""The pages that tell what was, load, events and their chain, notifications, are accessible on desk and phone."""

import pytest
from django.urls import reverse

from broker.notifications.models import Subscription
from broker.virt.models import HostLoad, MachineLoad
from broker.virt.models.load import Span
from tests.portal.web.test_loads import fill

from .test_pages import violations
from .test_versions import shoot

pytestmark = pytest.mark.browser


@pytest.mark.parametrize(("theme", "phone"), [("light", False), ("dark", True)])
def test_the_pages_are_accessible(site, visit, theme, phone):
    fill(MachineLoad, site.server, Span.MINUTE, 600)
    fill(HostLoad, site.world.host, Span.HOUR, 100)
    row = Subscription.objects.create(name="Night shift", way="mail", target="night@example.org", kinds=["host.lost"])
    page = visit("root", "/", theme=theme, phone=phone)
    for name, address in (
        ("machine", reverse("portal:vm", args=[site.server.pk]) + "?range=day"),
        ("host", reverse("portal:host", args=[site.world.host.pk]) + "?range=week"),
        ("events", reverse("portal:events") + "?since=2026-01-01T00:00&kind=vm.*"),
        ("chain", reverse("portal:events-chain")),
        ("subscriptions", reverse("portal:subscriptions")),
        ("subscription", reverse("portal:subscription-edit", args=[row.pk])),
    ):
        page.goto(address)
        shoot(page, f"{name}-{theme}")
        assert violations(page) == [], address
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{name} scrolls sideways"
