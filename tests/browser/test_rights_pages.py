"""The pages of roles, permissions, quotas and rights, looked at by axe-core on a desk and on a phone."""

import pytest
from django.urls import reverse

from broker.access.models import Quota, Role
from tests.browser.test_pages import violations

pytestmark = pytest.mark.browser


@pytest.mark.parametrize(("theme", "phone"), [("light", False), ("dark", False), ("dark", True)])
def test_they_are_accessible_and_fit(site, visit, theme, phone):
    world = site.world
    world.staff.members.add(world.alice)
    Quota.objects.create(group=world.staff, each=True, running=1, vcpus=3)
    Quota.objects.create(user=world.alice, running=1, disk_gib=50, mode="audit")
    site.machine("bobs", owner=world.bob, vcpus=4)
    world.grant(world.staff, "pool-admin", site.pool)
    role = Role.objects.create(name="desk", title="Desk", verbs=["vm.view", "pool.*"])
    addresses = [
        reverse(f"portal:{name}") for name in ("quotas", "quota-new", "roles", "role-new", "permissions-system")
    ]
    addresses += [reverse(f"portal:{name}", args=[role.pk]) for name in ("role", "role-copy", "role-edit")]
    addresses.append(reverse("portal:permissions", args=["pool", site.pool.pk]))
    addresses.append(reverse("portal:rights", args=[world.alice.pk]))
    addresses.append(reverse("portal:rights", args=[world.alice.pk]) + f"?on=vm:{site.desktop.pk}")
    page = visit("root", "/", theme=theme, phone=phone)
    for address in addresses:
        page.goto(address)
        assert violations(page) == [], address
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{address} scrolls sideways"


def test_a_role_is_given_on_the_page_and_the_rights_page_says_why(site, visit):
    page = visit("root", reverse("portal:permissions", args=["pool", site.pool.pk]))
    page.fill("#give-name", "charlie")
    page.select_option("#give-role", label="Pool administrator")
    page.click("text=Give it")
    page.wait_for_selector("td:has-text('charlie')")
    page.goto(reverse("portal:rights", args=[site.world.charlie.pk]))
    page.select_option("#rights-on", label="Desk pool")
    page.click("text=Show")
    page.wait_for_selector("h1:has-text('charlie')")
    row = page.locator("tr", has_text="pool.manage")
    assert "Yes" in row.inner_text() and "Pool administrator, on the pool Desk pool" in row.inner_text()
