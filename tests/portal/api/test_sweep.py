"""Every operation of the API × every object of another tenant × every kind of person without a right: nothing.

The operations come from the API's own description, so a new one is swept without being written down here.
"""

from datetime import time
from uuid import uuid4

import pytest
from drf_spectacular.generators import SchemaGenerator

from broker.access.models import Grant, Quota
from broker.backups.models import Backup, BackupSchedule, BackupTarget
from broker.connections.models import Recording, Session
from broker.core import clock
from broker.directories.models import Directory
from broker.events.models import Event
from broker.jobs.models import Job
from broker.notifications.models import Subscription
from broker.virt.models import (
    AffinityGroup,
    Batch,
    DeviceUse,
    Disk,
    DiskExport,
    DiskShare,
    FloatingDisk,
    HostDevice,
    Image,
    ImageSource,
    InstanceType,
    Nic,
    PhysicalMachine,
    SavedSearch,
    Snapshot,
    VirtualMachine,
)  # fmt: skip
from broker.virt.ssh.key import public_key
from pools.models import Booking, MetaMember, MetaPool, Pool
from portal.models import ApiToken

pytestmark = pytest.mark.urls("tests.portal.api.urls")

# What anybody signed in may call: lists (which are empty for strangers), oneself, one's own tokens, the description.
OPEN = {("GET", "/api/v1/me/"), ("GET", "/api/v1/schema/"), ("POST", "/api/v1/tokens/")}
# What belongs to the people concerned alone: secrets of one's own, and what passes between two people.
PERSONAL = tuple(
    f"/api/v1/{name}/" for name in ("tokens", "helps", "messages", "shares", "saved-searches", "subscriptions")
)
# A screen shows what somebody works at, an explanation plays through what it explains; the rest is not always there.
MORE_THAN_LOOKING = (
    "/screen/", "/explain/", "/explain-start/", "/what-if/", "/iscsi-luns/",
    "/balance/", "/availability/", "/forecast/", "/rollout/", "/recordings/{id}/file/", "/recordings/{id}/video/",
    "/exports/{id}/data/",
)  # fmt: skip
RIGHTS = {
    "stranger": (),
    "neighbour": ("vm-user",),  # has a machine of her own
    "pool neighbour": ("pool-user",),
}


def operations():
    schema = SchemaGenerator(urlconf="tests.portal.api.urls").get_schema(request=None, public=True)
    found = [(method.upper(), path) for path, verbs in schema["paths"].items() for method in verbs]
    return sorted(found, key=lambda one: one[0] != "GET")  # reading first: one's own refusals are events of one's own


@pytest.fixture
def tenant(world, make_vm, make_pool, make_desktop):
    """Everything bob's company has; the others have nothing of it."""
    public_key()  # made when it is first asked for
    world.grant(world.bob, "operator")
    pool = make_pool("theirs", size=3)
    Pool.objects.filter(pk=pool.pk).update(booked=True)
    desktop = make_desktop(pool, 1, holder=world.bob)
    vm = desktop.vm
    meta = MetaPool.objects.create(name="theirs")
    MetaMember.objects.create(meta=meta, pool=pool, position=1)
    entitlement = Grant.objects.create(
        user=world.bob, role=Grant.objects.first().role, object_kind="pool", object_id=pool.pk
    )
    job = Job.objects.create(
        plan="vm.start",
        title="Start",
        subject_kind="vm",
        subject_id=vm.pk,
        subject_name="x",
        actor=world.bob,
        actor_name="bob",
    )
    event = Event.objects.create(at=clock.now(), kind="x", actor=world.bob, actor_name="bob", template="x")
    token, _ = ApiToken.objects.create(user=world.bob, name="x")
    target = BackupTarget.objects.create(cluster=world.cluster, name="theirs", path="/srv/theirs")
    schedule = BackupSchedule.objects.create(target=target, name="theirs", days=[0], at=time(2))
    backup = Backup.objects.create(target=target, vm=vm, vm_key=vm.pk, vm_name=vm.name, state="ready")
    disk = Disk.objects.create(vm=vm, storage=world.storage, target="vdz", volume="theirs.qcow2")
    device = HostDevice.objects.create(host=world.host, key="usb_1_1", kind="usb", vendor="1d6b", product="0002")
    shared = FloatingDisk.objects.create(name="shared", storage=world.storage, volume="shared.raw", shared=True)
    return {
        # First those within another, whose own parameter is filled after them.
        "/api/v1/hosts/{host_pk}/devices/{id}/": device.pk,
        "/api/v1/pools/{pool_pk}/bookings/{id}/": Booking.objects.create(
            pool=pool, user=world.bob, start=clock.now(), end=clock.now()
        ).pk,
        "/api/v1/vms/{vm_pk}/host-devices/{id}/": DeviceUse.objects.create(vm=vm, device=device).pk,
        "/api/v1/vms/{vm_pk}/disks/{id}/": disk.pk,
        "/api/v1/vms/{vm_pk}/shared-disks/{id}/": DiskShare.objects.create(vm=vm, disk=shared, target="vdy").pk,
        "/api/v1/vms/{vm_pk}/exports/{id}/": DiskExport.objects.create(vm=vm, name="theirs.qcow2").pk,
        "/api/v1/vms/{vm_pk}/snapshots/{id}/": Snapshot.objects.create(vm=vm, name="theirs").pk,
        "/api/v1/vms/{vm_pk}/nics/{id}/": Nic.objects.create(vm=vm, network=world.network, mac="52:54:00:01:00:98").pk,
        "/api/v1/backups/{id}/": backup.pk, "/api/v1/backup-targets/{id}/": target.pk,
        "/api/v1/backup-schedules/{id}/": schedule.pk,
        "/api/v1/floating-disks/{id}/": FloatingDisk.objects.create(
            name="theirs", storage=world.storage, volume="floating.qcow2"
        ).pk,
        "/api/v1/images/{id}/": Image.objects.create(
            name="theirs", kind="iso", storage=world.storage, size_bytes=512, volume="theirs.iso"
        ).pk,
        "/api/v1/saved-searches/{id}/": SavedSearch.objects.create(owner=world.bob, name="theirs").pk,
        "/api/v1/subscriptions/{id}/": Subscription.objects.create(owner=world.bob, name="theirs", way="mail").pk,
        "/api/v1/batches/{id}/": Batch.objects.create(owner=world.bob, verb="start").pk,
        "/api/v1/meta-pools/{id}/": meta.pk, "/api/v1/meta-pools/{pool_pk}/": meta.pk,
        "/api/v1/pools/{id}/": pool.pk, "/api/v1/pools/{pool_pk}/": pool.pk, "/api/v1/desktops/{id}/": desktop.pk,
        "/api/v1/vms/{id}/": vm.pk, "/api/v1/vms/{vm_pk}/": vm.pk, "/api/v1/templates/{id}/": world.template.pk,
        "/api/v1/template-versions/{id}/": world.version.pk, "/api/v1/hosts/{id}/": world.host.pk,
        "/api/v1/hosts/{host_pk}/": world.host.pk,
        "/api/v1/storage-domains/{id}/": world.storage.pk, "/api/v1/networks/{id}/": world.network.pk,
        "/api/v1/image-sources/{id}/": ImageSource.objects.create(host="theirs.example").pk,
        "/api/v1/instance-types/{id}/": InstanceType.objects.create(name="theirs", vcpus=1, memory_mib=64).pk,
        "/api/v1/physical-machines/{id}/": PhysicalMachine.objects.create(
            vm=VirtualMachine.objects.create(cluster=world.cluster, name="theirs-pc", machine="physical"),
            address="10.0.0.9",
        ).pk,
        "/api/v1/affinity-groups/{id}/": AffinityGroup.objects.create(cluster=world.cluster, name="theirs").pk,
        "/api/v1/clusters/{id}/": world.cluster.pk, "/api/v1/jobs/{id}/": job.pk, "/api/v1/events/{id}/": event.pk,
        "/api/v1/directories/{id}/": Directory.objects.create(name="theirs", kind="local", enabled=False).pk,
        "/api/v1/users/{id}/": world.bob.pk, "/api/v1/groups/{id}/": world.staff.pk,
        "/api/v1/roles/{id}/": entitlement.role_id, "/api/v1/grants/{id}/": entitlement.pk,
        "/api/v1/tokens/{id}/": token.pk,
        "/api/v1/quotas/{id}/": Quota.objects.create(user=world.bob, cluster=world.cluster, running=5).pk,
        "/api/v1/recordings/{id}/": Recording.objects.create(
            session=uuid4(), user=world.bob, user_name="bob", vm=vm, vm_name=vm.name, ended_at=clock.now()
        ).pk,
        "/api/v1/sessions/{id}/": Session.objects.create(user=world.bob, vm=vm, gateway="g").pk,
    }  # fmt: skip


def fill(path, tenant):
    """The path with the ids of the tenant's objects."""
    for pattern, pk in tenant.items():
        prefix, _, name = pattern.rpartition("{")
        parameter = "{" + name.rstrip("/")
        if path.startswith(prefix + parameter):
            path = path.replace(parameter, str(pk), 1)
    assert path.count("{") <= 1, path
    return path.replace("{id}", str(uuid4()))


def snapshot():
    """All that an intruder could change."""
    from django.apps import apps

    watched = [
        m
        for m in apps.get_models()
        if m._meta.app_label
        in {"virt", "pools", "access", "backups", "directories", "connections", "jobs", "notifications"}
    ]
    return {m._meta.label: list(m._base_manager.order_by("pk").values()) for m in watched}


@pytest.mark.parametrize("person", RIGHTS)
def test_nobody_reads_or_acts_on_what_is_not_theirs(caller, world, tenant, make_vm, make_pool, person):
    for role in RIGHTS[person]:
        own = make_vm("own") if role == "vm-user" else make_pool("own")
        world.grant(world.charlie, role, own)
    charlie = caller("charlie")
    before = snapshot()
    # A neighbour's own machine names what it was made from, and so may have that in common with the tenant's.
    common = (
        {world.cluster.pk, world.template.pk, world.version.pk, world.storage.pk, world.network.pk}
        if RIGHTS[person]
        else set()
    )
    secret = [str(pk) for pk in tenant.values() if not isinstance(pk, int) and pk not in common]
    swept = 0
    for method, pattern in operations():
        if (method, pattern) in OPEN:
            continue
        path = fill(pattern, tenant)
        answer = charlie.call(method, path.removeprefix("/api/v1/"), None if method in {"GET", "DELETE"} else {})
        label = f"{method} {path}: {answer.status_code} {answer.content[:300]}"
        if method == "GET" and "{" not in pattern:
            assert answer.status_code == 200, label
            text = answer.content.decode()
            assert not [pk for pk in secret if pk in text], label
        elif "{" in pattern:
            assert answer.status_code in {403, 404, *((400,) if method in {"POST", "PATCH"} else ())}, label
        else:
            assert answer.status_code in {400, 403}, label
        swept += 1
    assert swept > 60
    assert snapshot() == before


def test_nobody_at_all_gets_nothing(caller, tenant):
    nobody = caller("")
    for method, pattern in operations():
        path = fill(pattern, tenant).removeprefix("/api/v1/")
        assert nobody.call(method, path, None if method in {"GET", "DELETE"} else {}).status_code == 401, (method, path)


def test_an_auditor_reads_everything_and_changes_nothing(caller, world, tenant):
    world.grant(world.alice, "auditor")
    auditor = caller("alice")
    before = snapshot()
    for method, pattern in operations():
        if (method, pattern) in OPEN or pattern.startswith(PERSONAL):
            continue
        path = fill(pattern, tenant)
        answer = auditor.call(method, path.removeprefix("/api/v1/"), None if method in {"GET", "DELETE"} else {})
        label = f"{method} {path}: {answer.status_code} {answer.content[:300]}"
        if method == "GET" and not pattern.endswith(MORE_THAN_LOOKING):
            assert answer.status_code == 200, label
        else:
            assert answer.status_code in {400, 403, 404}, label
    assert snapshot() == before
