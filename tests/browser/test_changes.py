"""The pages by which machines and networks are changed, in Chromium: accessible, and no wider than a phone."""

import pytest
from django.urls import reverse

from broker.core.errors import Conflict
from broker.jobs.models import Job
from broker.virt.models import Nic, PendingChange, VirtualMachine

from .test_pages import violations
from .test_versions import shoot

pytestmark = pytest.mark.browser


@pytest.mark.parametrize(("theme", "phone"), [("light", False), ("dark", True)])
def test_the_pages_are_accessible(site, visit, theme, phone):
    vm, network = site.server, site.world.network
    VirtualMachine.objects.filter(pk=vm.pk).update(power_state="running", host=site.world.host)
    Job.objects.filter(subject_id=vm.pk).delete()
    why = Conflict(
        "Its present run can have %(most)s processors at most.", most=4,
        fix="Set its most processors higher; that counts from its next start on.",
    )  # fmt: skip
    card = Nic.objects.create(vm=vm, network=network, mac="52:54:00:00:00:77", leased="192.168.77.9", out_kib=500)
    new = Nic.objects.create(vm=vm, network=network, mac="52:54:00:00:00:78", plugged=False, guard="mac")
    PendingChange.objects.create(
        vm=vm, asked_by="root", reasons={"vcpus": why.as_dict()},
        values={
            "vcpus": 8, "video": "qxl", "tpm": True,
            "nics": {str(card.pk): {"connected": False, "in_kib": 1000}, str(new.pk): {"plug": True}},
        },
    )  # fmt: skip
    page = visit("root", "/", theme=theme, phone=phone)
    for name, address in (
        ("machine", reverse("portal:vm", args=[vm.pk])),
        ("changes", reverse("portal:vm-changes", args=[vm.pk])),
        ("card", reverse("portal:card-edit", args=[vm.pk, card.pk])),
        ("edit", reverse("portal:vm-edit", args=[vm.pk])),
        ("clone", reverse("portal:vm-clone", args=[vm.pk])),
        ("network", reverse("portal:network", args=[network.pk])),
    ):
        page.goto(address)
        shoot(page, f"{name}-{theme}")
        assert violations(page) == [], address
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{name} scrolls sideways"
