"""The page of all ways to a screen: accessible on desk and phone, with what each needs."""

import pytest
from django.urls import reverse

from broker.connections.actions import set_console_policy
from broker.virt.models import VirtualMachine

from .test_pages import violations
from .test_versions import shoot

pytestmark = pytest.mark.browser


@pytest.mark.parametrize(("theme", "phone"), [("light", False), ("dark", True)])
def test_all_ways_on_one_page(site, visit, theme, phone):
    parts = {"usb": 2, "smartcard": True, "clipboard": True, "files": True}
    VirtualMachine.objects.filter(pk=site.desktop.pk).update(
        power_state="running", options={"heads": 2}, guest={"agent": True, "addresses": ["192.0.2.44"]},
        consoles=[{"kind": "vnc", "unix": "/x"}, {"kind": "spice", "unix": "/y", "parts": parts}],
    )  # fmt: skip
    vm = VirtualMachine.objects.get(pk=site.desktop.pk)
    set_console_policy(actor=site.world.actor("root"), obj=vm, rdp=True, smartcard=True)
    page = visit("root", reverse("portal:console-ways", args=[vm.pk]), theme=theme, phone=phone)
    shoot(page, f"ways-{theme}")
    assert page.get_by_role("heading", name="Remote desktop (RDP)").is_visible()
    assert page.get_by_label("Use the smart cards in this computer’s reader").is_checked()
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
