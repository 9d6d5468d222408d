"""iSCSI as storage: what is made of it, what is refused on it and why."""

import pytest

from broker.backups.actions.back_up import back_up
from broker.backups.actions.create_target import create_target
from broker.backups.actions.restore_as_new import restore_as_new
from broker.backups.models import Backup
from broker.core.errors import Conflict, Invalid
from broker.virt import reports, specs
from broker.virt.actions.clone_vm import clone_vm
from broker.virt.actions.create_disk import create_disk
from broker.virt.actions.create_storage import create_storage
from broker.virt.actions.create_vm import create_vm
from broker.virt.actions.export_disk import export_disk
from broker.virt.actions.grow_disk import grow_disk
from broker.virt.actions.make_template_version import make_template_version
from broker.virt.actions.move_disks import move_disks
from broker.virt.actions.take_snapshot import take_snapshot
from broker.virt.driver import DiskSpec, LunPlace
from broker.virt.drivers.libvirt.domain_xml.build import disk_element
from broker.virt.drivers.libvirt.luns import target_xml
from broker.virt.ha import moments, signs
from broker.virt.ha.loss import declare_lost
from broker.virt.iscsi.session import address
from broker.virt.iscsi.table import Entry, Table, seal, unseal
from broker.virt.iscsi.units import Unit
from broker.virt.models import HostHealth, Recovery, StorageDomain, VirtualMachine
from pools.actions.create_pool import create_pool
from tests.virt.actions.stage import SYSTEM, done, fresh

IQN = "iqn.2026-01.org.example:store"


def luns(stage, **more):
    wish = {"cluster": stage.world.cluster, "name": "san", "kind": "iscsi", "server": "192.0.2.10, [2001:db8::1]:3261"}
    return create_storage(actor=SYSTEM, **(wish | {"export": IQN, "luns": [3, 1]} | more))


def test_what_drivers_are_told(stage):
    row = luns(stage, user="berth", password="a-long-secret")
    spec = specs.storage_spec(StorageDomain.objects.get(pk=row.pk))
    assert (spec.server, spec.export, spec.luns) == ("192.0.2.10,[2001:db8::1]:3261", IQN, (1, 3))
    assert spec.password == "a-long-secret" and "a-long-secret" not in repr(spec) + row.secret
    assert spec.path == f"/berth-iscsi/{spec.name}" and spec.kind == "iscsi"
    told = target_xml(spec, "[2001:db8::1]:3261")
    assert '<host name="2001:db8::1" port="3261"/>' in told and f'<secret usage="{spec.name}"/>' in told
    assert [address(one) for one in ("nas", "nas:1", "[::1]", "[::1]:2", "::1")] == [
        ("nas", 3260), ("nas", 1), ("::1", 3260), ("::1", 2), ("::1", 3260),
    ]  # fmt: skip
    # agents from before leases on LUNs are not told of this one
    assert reports.orders(stage.world.host)["leases"][str(row.pk)] == row.path
    assert str(row.pk) not in reports.orders(stage.world.host, version=2)["leases"]
    assert str(row.pk) not in reports.orders(stage.world.host, version="x")["leases"]


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"server": ""}, "server"), ({"server": "-o"}, "server"), ({"server": "nas:0"}, "server"),
        ({"server": "nas:99999"}, "server"), ({"server": "a,b,c,d,e"}, "server"), ({"server": "nas;reboot"}, "server"),
        ({"export": "store"}, "export"), ({"export": "iqn.2026-01.org.example:a/../b"}, "export"),
        ({"export": "iqn.2026-01.org.example:a\n"}, "export"), ({"luns": [1]}, "luns"), ({"luns": [-1, 2]}, "luns"),
        ({"luns": [True, "x"]}, "luns"), ({"luns": [1, 99999]}, "luns"), ({"user": "berth"}, "password"),
        ({"password": "x"}, "password"), ({"user": "a", "password": "b\n"}, "password"),
    ],
)  # fmt: skip
def test_what_a_target_would_misread_is_refused(stage, wrong, field):
    with pytest.raises(Invalid) as caught:
        luns(stage, **wrong)
    assert caught.value.field == field and not StorageDomain.objects.filter(name="san").exists()


def test_a_lun_is_taken_once_and_by_all_hosts(stage):
    luns(stage)
    for same in ([3, 4], []):
        with pytest.raises(Conflict) as caught:
            luns(stage, name="again", luns=same)
        assert caught.value.rule == "storage.share"
    assert luns(stage, name="beside", luns=[5, 6]).luns == [5, 6]
    with pytest.raises(Invalid):
        luns(stage, name="mine", luns=[7, 8], host=stage.world.host)


def test_blank_disks_and_moves_while_a_machine_runs(stage):
    san = luns(stage)
    vm = stage.make("web", start=True)
    done(create_disk(actor=SYSTEM, vm=vm, size_bytes=8 << 20, storage=san))
    done(move_disks(actor=SYSTEM, vm=fresh(vm), storage=san))
    assert {disk.storage_id for disk in vm.disks.all()} == {san.pk}
    assert all(disk.path.startswith(san.path) for disk in vm.disks.filter(target="vda"))
    blank = create_vm(actor=SYSTEM, name="blank", storage=san, disk_bytes=8 << 20)
    done(blank)
    done(move_disks(actor=SYSTEM, vm=fresh(vm), storage=stage.world.storage))
    assert {disk.storage_id for disk in vm.disks.all()} == {stage.world.storage.pk}
    off = fresh(blank.subject_id)
    done(move_disks(actor=SYSTEM, vm=off, storage=stage.world.storage))
    assert off.disks.get().storage == stage.world.storage


def test_copies_and_backups(stage):
    """What is made of a template or another machine is whole of itself there; from there, too."""
    san = luns(stage)
    size = stage.world.version.size_bytes
    made = fresh(done(create_vm(actor=SYSTEM, name="made", version=stage.world.version, storage=san)).subject_id)
    assert not made.linked and made.disks.get().storage == san
    clone = done(clone_vm(actor=SYSTEM, vm=made, name="clone", storage=stage.world.storage)).subject_id
    assert fresh(clone).disks.get().size_bytes == size
    version = done(make_template_version(actor=SYSTEM, vm=made, storage=stage.world.storage, seal=False))
    assert version.state == "succeeded"
    target = create_target(actor=SYSTEM, cluster=stage.world.cluster, name="far", storage=stage.world.storage)
    done(back_up(actor=SYSTEM, vm=made, target=target))
    backup = Backup.objects.get(vm=made)
    new = done(restore_as_new(actor=SYSTEM, backup=backup, storage=san, name="restored")).subject_id
    assert fresh(new).disks.get().storage == san


def test_a_disk_is_downloaded_as_it_is(stage, monkeypatch, settings, tmp_path):
    settings.DATA_DIR = tmp_path
    off = done(create_vm(actor=SYSTEM, name="blank", storage=luns(stage), disk_bytes=8 << 20)).subject_id
    asked = []

    def fetch(self, storage, name, target, *, progress=lambda share: None):
        asked.append(name)
        target.write_bytes(b"image")

    monkeypatch.setattr(type(stage.line), "fetch_volume", fetch)
    disk = fresh(off).disks.get()
    done(export_disk(actor=SYSTEM, disk=disk))
    assert asked == [disk.volume] and fresh(off).exports.get().ready_at
    assert stage.line.volume(specs.storage_spec(disk.storage), disk.volume)  # it is the disk itself, and stays


def test_what_needs_files_is_refused(stage):
    san = luns(stage)
    vm = stage.make("web", start=True)
    done(create_disk(actor=SYSTEM, vm=vm, size_bytes=8 << 20, storage=san))
    second = vm.disks.get(target="vdb")
    done(grow_disk(actor=SYSTEM, disk=second, size_bytes=16 << 20))
    off = done(create_vm(actor=SYSTEM, name="blank", storage=san, disk_bytes=8 << 20)).subject_id
    done(grow_disk(actor=SYSTEM, disk=fresh(off).disks.get(), size_bytes=16 << 20))
    assert fresh(off).disks.get().size_bytes == 16 << 20
    for refused in (
        lambda: create_vm(
            actor=SYSTEM, name="x", storage=san, disk_bytes=8 << 20, cloud_init={"hostname": "x", "user": "me"}
        ),
        lambda: take_snapshot(actor=SYSTEM, vm=fresh(vm), name="before"),
        lambda: make_template_version(actor=SYSTEM, vm=fresh(off), template=stage.world.template, storage=san),
        lambda: create_pool(
            actor=SYSTEM, name="x", title="x", template=stage.world.template, storage=san, size=1, kind="automatic"
        ),
    ):
        with pytest.raises(Conflict) as caught:
            refused()
        assert caught.value.rule == "storage.files"


def test_a_lease_speaks_for_machines_on_luns_only_where_it_lies_on_them(stage):
    """The host's agent may be from before there were such leases, and then it never ends what runs there."""
    san = luns(stage)
    on_files, on_lun = stage.make("files", start=True), stage.make("lun", start=True)
    done(create_disk(actor=SYSTEM, vm=on_lun, size_bytes=8 << 20, storage=san))
    VirtualMachine.objects.update(available=True, leased=True)
    host = stage.world.host
    health = HostHealth.objects.create(host=host)
    now = moments.now()
    signs.looked(host, now, by=str(stage.world.storage.pk), looked_at=now)
    assert declare_lost(host, health, at=now, only_leased=True) == 1
    assert [row.vm for row in Recovery.objects.all()] == [on_files]
    HostHealth.objects.update(lost_at=None, only_leased=False)
    signs.looked(host, now, by=str(san.pk), looked_at=now)
    assert declare_lost(host, health, at=now, only_leased=True) == 1
    assert {row.vm for row in Recovery.objects.all()} == {on_files, on_lun}


def test_the_table():
    table = Table().put(Entry("b", 3, 5)).put(Entry("a", 2, 5, whole=False)).put(Entry("b", 4, 6))
    assert [one.lun for one in table.entries] == [2, 4] and table.drop("a").find("a") is None
    disks = (Unit(2, 10, 512), Unit(3, 30, 512), Unit(4, 10, 512), Unit(5, 20, 512))
    assert [one.lun for one in table.free(disks)] == [5, 3]
    data = seal(table)
    assert unseal(data + bytes(99)) == table
    assert unseal(data[:-1] + b"x") is None and unseal(b"") is None and unseal(b"berth-luns 1 1 x 5\n[[]]]") is None


def test_the_document_of_a_lun():
    spec = DiskSpec(
        path="/berth-iscsi/berth-0a/web.qcow2", format="qcow2", target="vda",
        lun=LunPlace("192.0.2.10", 3260, IQN, 3, "me", "berth-0a"),
    )  # fmt: skip
    disk = disk_element(spec)
    assert disk.path == spec.path and disk.type == "network"
    xml = disk.xml()
    assert f'<source protocol="iscsi" name="{IQN}/3">' in xml and '<secret type="iscsi" usage="berth-0a"/>' in xml
    disk.put(spec.path, spec.lun)
    assert disk.xml() == xml
    disk.path = "/srv/web.qcow2"
    assert disk.type == "file" and "iscsi" not in disk.xml() and disk.path == "/srv/web.qcow2"
