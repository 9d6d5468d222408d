"""The back office in Chromium: a list that is looked at says what is so now."""

import pytest
from django.urls import reverse

from broker.virt.models import VirtualMachine

from .test_versions import shoot

pytestmark = pytest.mark.browser


def test_a_list_stays_up_to_date(site, visit):
    machines = reverse("admin:virt_virtualmachine_changelist")
    page = visit("root", machines)
    row = page.locator("#result_list tr", has_text=site.server.name).first
    row.wait_for()
    VirtualMachine.objects.filter(pk=site.server.pk).update(power_state="crashed")
    page.locator("#result_list tr", has_text=site.server.name).get_by_text("crashed").first.wait_for(timeout=60_000)
    shoot(page, "admin-machines")
    page.goto(reverse("admin:virt_virtualmachine_change", args=[site.server.pk]))
    shoot(page, "admin-machine")
    page.goto(reverse("admin:virt_disk_changelist"))
    shoot(page, "admin-disks")
