"""Rows of docs/machine-attacks.md and docs/faults.md that belong to no single part."""

import json

import pytest
from django.apps import apps
from django.test import Client
from django.urls import reverse
from django.utils.html import escape
from drf_spectacular.generators import SchemaGenerator

from broker.core.errors import Busy, Conflict, Invalid
from broker.jobs.models import Job
from broker.virt.actions.adopt_file import adopt_file
from broker.virt.actions.create_storage import create_storage
from broker.virt.actions.create_vm import create_vm
from broker.virt.actions.delete_vm import delete_vm
from broker.virt.actions.start_vm import start_vm
from broker.virt.models import StorageDomain, VirtualMachine
from broker.virt.specs import storage_spec
from pools.actions.delete_pool import delete_pool
from pools.models import Pool
from tests.pools.conftest import free_rows
from tests.virt.actions.stage import SYSTEM, Stage, fresh

PAGES = ("vm", "vm-disks", "vm-changes", "vm-edit", "vm-hardware", "vm-backups")
SECRET = "planted-4711-secret"
ELSEWHERE = [
    "../x", "/etc/shadow", "a/b", "-oProxyCommand", "x,file.filename=/etc/passwd", 'json:{"driver":"file"}',
    "nbd://192.0.2.1/x", "fat:rw:/etc", "x\0y", "", ".hidden", "x\ny", "http://192.0.2.1/x.qcow2",
]  # fmt: skip


@pytest.fixture
def stage(db, settings):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    return Stage()


@pytest.mark.parametrize("words", ['"><script>alert(1)</script>', "'}}{{7*7}}{% debug %}", "=cmd|'/C calc'!A0"])
def test_what_people_write_stays_words_on_every_page(stage, words):
    """Row S17: as a title, which is free text; a name takes none of it."""
    with pytest.raises(Invalid):
        create_vm(actor=SYSTEM, name=words, version=stage.world.version)
    vm, browser = stage.make(title=words), Client()
    browser.force_login(stage.world.root)
    pages = [reverse("portal:vms"), *(reverse(f"portal:{name}", args=[vm.pk]) for name in PAGES)]
    for address in (*pages, f"/admin/virt/virtualmachine/{vm.pk}/change/"):
        text = browser.get(address, follow=True).content.decode()
        assert escape(words) in text and "<script>alert" not in text and "}}49" not in text, address


@pytest.mark.parametrize("words", ["a\u202eb", "a\u200bb", "a\0b", "x" * 10_000])
def test_signs_that_hide_and_endless_words_are_refused(stage, words):
    """Row S17: what turns the direction of writing, has no width, ends a string, or fills a page."""
    with pytest.raises(Invalid) as refusal:
        create_vm(actor=SYSTEM, name="plain", title=words, version=stage.world.version)
    assert refusal.value.field == "title" and not VirtualMachine.objects.exists()


@pytest.mark.parametrize("name", ELSEWHERE)
def test_file_names_that_lead_elsewhere_are_refused_at_every_layer(stage, monkeypatch, name):
    """Row S22: qemu-img would take several of these for protocols or options."""
    with pytest.raises(Invalid):
        adopt_file(actor=SYSTEM, storage=stage.world.storage, file=name)
    spec, line = storage_spec(stage.world.storage), stage.line
    monkeypatch.setattr(stage.sim, "meet", lambda *args, **more: pytest.fail("a host was called"))
    for verb in (line.volume, line.create_volume, line.delete_volume):
        with pytest.raises(Invalid):
            verb(spec, name)
    assert not Job.objects.exists()


def test_no_door_takes_a_definition(db):
    """Rows S19 and S20: XML from outside would have to be judged element by element."""
    schema = SchemaGenerator().get_schema(request=None, public=True)
    bodies = [
        kind for path in schema["paths"].values() for one in path.values() if isinstance(one, dict)
        for kind in one.get("requestBody", {}).get("content", {})
    ]  # fmt: skip
    assert bodies and not [kind for kind in bodies if "xml" in kind]
    fields = {name for one in schema["components"]["schemas"].values() for name in one.get("properties", {})}
    assert "name" in fields and not [name for name in fields if "xml" in name.lower()]


def test_of_two_who_start_and_delete_one_machine_one_is_let_through(stage):
    """Row F28: the second is told what is under way, whichever it is."""
    for first, second in ((start_vm, delete_vm), (delete_vm, start_vm)):
        vm = stage.make(f"vm-{first.__name__.replace('_', '-')}")
        job = first(actor=SYSTEM, vm=fresh(vm))
        with pytest.raises(Exception) as refusal:
            second(actor=SYSTEM, vm=fresh(vm))
        assert isinstance(refusal.value, Busy) or refusal.value.rule == "machine.usable"
        assert refusal.value.fix and list(Job.objects.filter(subject_id=vm.pk, state="queued")) == [job]


def test_of_two_who_delete_one_pool_one_is_let_through(stage):
    """Row F28."""
    world = stage.world
    pool = Pool.objects.create(
        name="desk", title="Desks", cluster=world.cluster, template=world.template, storage=world.storage, size=1
    )
    free_rows(pool, world, 1)
    seen = [Pool.objects.get(pk=pool.pk) for _ in range(2)]
    delete_pool(actor=SYSTEM, pool=seen[0])
    with pytest.raises(Conflict) as refusal:
        delete_pool(actor=world.actor("root"), pool=seen[1])
    assert refusal.value.rule and refusal.value.fix


def test_planted_secrets_stand_nowhere_in_the_clear(stage, caplog):
    """Row S46: a guest's password and a target's, in all rows of all tables, in the log, and on the host."""
    caplog.set_level("DEBUG")
    create_vm(
        actor=SYSTEM, name="told", version=stage.world.version, network=stage.world.network,
        cloud_init={"user": "ann", "password": SECRET},
    )  # fmt: skip
    create_storage(
        actor=SYSTEM, cluster=stage.world.cluster, name="luns", kind="iscsi", server="192.0.2.10",
        export="iqn.2026-01.org.example:x", user="berth", password=SECRET,
    )  # fmt: skip
    assert VirtualMachine.objects.get(name="told").cloud_init and StorageDomain.objects.get(name="luns").user == "berth"
    rows = [
        json.dumps(row, default=str)
        for model in apps.get_models() if model._meta.managed and not model._meta.proxy
        for row in model._base_manager.values()
    ]  # fmt: skip
    assert len(rows) > 50 and not [row for row in rows if SECRET in row]
    assert SECRET not in caplog.text
    with stage.sim.changing() as data:
        assert SECRET not in json.dumps(data)
