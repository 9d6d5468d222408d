"""Machines that are pinned, over simulated hosts: where they start, what is refused, and what they pass on."""

import pytest
from django.test import Client
from django.urls import reverse

from broker.core.errors import Invalid, NoCapacity
from broker.virt import machine_options
from broker.virt.actions.edit_vm import edit_vm
from broker.virt.actions.migrate_vm import migrate_vm
from broker.virt.actions.power_off_vm import power_off_vm
from broker.virt.actions.start_vm import start_vm
from broker.virt.driver import FoundMachine, HostNode
from broker.virt.explain import explain_start
from broker.virt.models import Host
from broker.virt.monitor import facts
from broker.virt.plans.vm_adopt import _columns
from tests.virt.actions.stage import SYSTEM, done, fresh
from tests.virt.plans.test_migrate import Pair


@pytest.fixture
def pair(db, settings):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    pair = Pair()
    Host.objects.filter(pk=pair.left.pk).update(nodes=[{"number": 0, "cpus": "0-3", "memory_bytes": 1 << 36}])
    Host.objects.filter(pk=pair.right.pk).update(nodes=[{"number": 0, "cpus": "0-7", "memory_bytes": 1 << 36}])
    return pair


def test_it_starts_elsewhere_once_its_host_lacks_them(pair):
    vm = pair.running(vcpus=2)
    assert vm.host == pair.left
    with pytest.raises(Invalid) as refusal:
        edit_vm(actor=SYSTEM, vm=vm, options={"cpu_pinning": "0#1_2#5"})
    assert refusal.value.field == "cpu_pinning"
    edit_vm(actor=SYSTEM, vm=vm, options={"cpu_pinning": "1#5_0#1"})
    assert fresh(vm).pending.values == {"cpu_pinning": "0#1_1#5"} and fresh(vm).options == {}
    with pytest.raises(Invalid):  # what waits counts, too
        edit_vm(actor=SYSTEM, vm=fresh(vm), vcpus=1)
    done(power_off_vm(actor=SYSTEM, vm=fresh(vm)))
    done(start_vm(actor=SYSTEM, vm=fresh(vm)))
    pair.is_on(pair.right, vm)
    with pytest.raises(NoCapacity) as caught:
        migrate_vm(actor=SYSTEM, vm=fresh(vm), host=pair.left)
    assert [reason.rule for reason in caught.value.reasons if reason.subject == "left"] == ["pinning"]
    done(power_off_vm(actor=SYSTEM, vm=fresh(vm)))
    edit_vm(actor=SYSTEM, vm=fresh(vm), options={"emulator_cpus": "9"})
    refusal = explain_start(actor=SYSTEM, vm=fresh(vm)).refusal
    assert {reason.rule for reason in refusal.reasons} == {"pinning"}
    edit_vm(actor=SYSTEM, vm=fresh(vm), options={"emulator_cpus": ""})
    assert explain_start(actor=SYSTEM, vm=fresh(vm)).params == (("host", "right"),)


def test_what_is_made_from_it_is_pinned_likewise_unless_its_size_is_another():
    options = {"cpu_pinning": "0#1", "numa_nodes": 2, "emulator_cpus": "0", "hugepages_kib": 2048}
    assert machine_options.inherited(options) == options
    kept = {"emulator_cpus": "0", "hugepages_kib": 2048}
    assert machine_options.inherited(options, resized=True) == kept


def test_the_numbers_of_a_host_are_told(pair):
    host = Host.objects.get(pk=pair.left.pk)
    told = pair.line.facts()
    facts.write(host, told)
    host.refresh_from_db()
    assert told.nodes == (HostNode(0, frozenset(range(8)), told.memory),) and host.nodes[0]["cpus"] == "0-7"
    browser = Client()
    browser.force_login(pair.world.root)
    assert "processors 0-7" in browser.get(reverse("portal:host", args=[host.pk])).content.decode()
    answer = browser.get(f"/api/v1/hosts/{host.pk}/").json()
    assert answer["nodes"] == [{"number": 0, "cpus": "0-7", "memory_bytes": told.memory, "pages": []}]


def test_forms_and_calls_take_the_words_of_it(pair):
    vm = pair.make(vcpus=2)
    browser = Client()
    browser.force_login(pair.world.root)
    page = reverse("portal:vm-hardware", args=[vm.pk])
    form = browser.get(page).context["form"]
    values = {name: form[name].value() for name in form.fields if form[name].value() is not False}
    assert browser.post(page, values | {"cpu_pinning": "0#2,1"}).status_code == 302
    assert fresh(vm).options["cpu_pinning"] == "0#1-2"
    refused = browser.post(page, values | {"cpu_pinning": "0#"})
    assert refused.status_code == 400 and "does not say which processor runs where" in refused.content.decode()
    address = f"/api/v1/vms/{vm.pk}/"
    body = {"options": {"cpu_pinning": "1#7"}}
    assert browser.patch(address, body, content_type="application/json").json()["options"]["cpu_pinning"] == "1#7"
    body = {"options": {"cpu_pinning": "2#7"}}
    assert browser.patch(address, body, content_type="application/json").status_code == 400


def test_pages_promised_to_a_machine_that_starts_are_not_promised_twice(pair):
    kept = [{"kib": 2048, "total": 400, "free": 300}]
    Host.objects.filter(pk=pair.left.pk).update(
        nodes=[{"number": 0, "cpus": "0-7", "memory_bytes": 1 << 36, "pages": kept}]
    )
    one, two = (pair.make(name, memory_mib=512, options={"hugepages_kib": 2048}) for name in ("one", "two"))
    assert two.host == pair.left
    start_vm(actor=SYSTEM, vm=fresh(one))  # not done yet: its 256 pages are free still
    reasons = explain_start(actor=SYSTEM, vm=fresh(two)).refusal.reasons
    (reason,) = (one for one in reasons if one.subject == "left")
    assert (reason.rule, reason.params["free"], reason.params["needed"]) == ("huge_pages", 44, 256)


@pytest.mark.parametrize(
    ("found", "options"),
    [
        ({}, {}),
        ({"cpu_pinning": "1#0-2_0#7"}, {"cpu_pinning": "0#7_1#0-2"}),
        ({"cpu_pinning": "5#0", "emulator_cpus": "3"}, {"emulator_cpus": "3"}),  # there are two: it says nothing
        ({"numa_nodes": 2, "hugepages_kib": 2048}, {"numa_nodes": 2, "hugepages_kib": 2048}),
        ({"numa_mode": "restrictive", "numa_host_nodes": "0"}, {}),
        ({"numa_mode": "strict", "numa_host_nodes": "0-1"}, {"numa_mode": "strict", "numa_host_nodes": "0-1"}),
        ({"numa_mode": "none"}, {}),
    ],
)
def test_an_adopted_machine_shows_what_can_be_said(found, options):
    machine = FoundMachine("x", "", 2, 1024, 0, "q35", ("vnc",), "", (), (), (), **found)
    assert _columns(machine)["options"] == options
