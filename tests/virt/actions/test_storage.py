"""Shared storage and its maintenance: what is made, what is refused and why."""

import pytest

from broker.core.errors import Conflict, Invalid
from broker.events.models import Event
from broker.virt import specs
from broker.virt.actions.activate_storage import activate_storage
from broker.virt.actions.create_storage import create_storage
from broker.virt.actions.create_vm import create_vm
from broker.virt.actions.edit_storage import edit_storage
from broker.virt.actions.maintain_storage import maintain_storage
from broker.virt.models import StorageDomain, VirtualMachine
from broker.virt.placement.gather import verdicts_on
from tests.jobs_help import run_all
from tests.virt.actions.stage import SYSTEM


def share(stage, **more):
    wish = {"cluster": stage.world.cluster, "name": "nas", "kind": "nfs", "server": "nas.example.org"}
    return create_storage(actor=SYSTEM, **(wish | {"export": "/export/vms"} | more))


def test_a_share_is_mounted_where_berth_chooses(stage):
    row = share(stage, version="4.1")
    spec = specs.storage_spec(row)
    assert (spec.kind, spec.server, spec.export, spec.version) == ("nfs", "nas.example.org", "/export/vms", "4.1")
    assert row.path == "/var/lib/libvirt/berth/nas" and row.host is None


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"server": ""}, "server"), ({"server": "-oremount"}, "server"), ({"server": "nas;reboot"}, "server"),
        ({"server": "a" * 300}, "server"), ({"server": "nas\nx"}, "server"), ({"export": "vms"}, "export"),
        ({"export": "/a/../b"}, "export"), ({"export": "/a,exec"}, "export"), ({"export": "/a\x00"}, "export"),
        ({"version": "4.1,exec"}, "version"), ({"kind": "smb"}, "kind"), ({"path": "/etc"}, "path"),
    ],
)  # fmt: skip
def test_what_a_mount_would_misread_is_refused(stage, wrong, field):
    with pytest.raises(Invalid) as caught:
        share(stage, **wrong)
    assert caught.value.field == field and not StorageDomain.objects.filter(name="nas").exists()


def test_an_address_is_a_server(stage):
    assert share(stage, server="2001:DB8::1").server == "2001:db8::1"


def test_a_share_is_taken_once_and_by_all_hosts(stage):
    share(stage)
    with pytest.raises(Conflict) as caught:
        share(stage, name="again", path="/srv/elsewhere")
    assert caught.value.rule == "storage.share"
    with pytest.raises(Invalid):
        share(stage, name="mine", export="/other", host=stage.world.host)


def test_maintenance_waits_for_the_machines_on_it(stage):
    storage = stage.world.storage
    job = create_vm(actor=SYSTEM, name="web", version=stage.world.version)
    with pytest.raises(Conflict) as caught:
        maintain_storage(actor=SYSTEM, storage=storage)
    assert "web" in caught.value.message and caught.value.reasons
    run_all()
    vm = VirtualMachine.objects.get(pk=job.subject_id)
    VirtualMachine.objects.filter(pk=vm.pk).update(power_state="running")
    with pytest.raises(Conflict):
        maintain_storage(actor=SYSTEM, storage=StorageDomain.objects.get(pk=storage.pk))
    assert StorageDomain.objects.get(pk=storage.pk).state == "active"
    VirtualMachine.objects.filter(pk=vm.pk).update(power_state="off")
    maintain_storage(actor=SYSTEM, storage=StorageDomain.objects.get(pk=storage.pk))
    assert Event.objects.filter(kind="storage.maintain").count() == 1


def test_nothing_is_made_on_or_started_from_a_storage_in_maintenance(stage):
    storage = stage.world.storage
    vm = stage.make("web")
    VirtualMachine.objects.filter(pk=vm.pk).update(power_state="off")
    maintain_storage(actor=SYSTEM, storage=storage)
    with pytest.raises(Conflict) as caught:
        create_vm(actor=SYSTEM, name="second", version=stage.world.version)
    assert caught.value.rule == "storage.maintenance" and not VirtualMachine.objects.filter(name="second").exists()
    vm.refresh_from_db()
    assert [reason.rule for verdict in verdicts_on(vm) for reason in verdict.refusals] == ["storage"]
    activate_storage(actor=SYSTEM, storage=StorageDomain.objects.get(pk=storage.pk))
    assert not any(verdict.refusals for verdict in verdicts_on(VirtualMachine.objects.get(pk=vm.pk)))


def test_a_storage_out_of_reach_takes_nothing_new(stage):
    StorageDomain.objects.update(error="the server does not answer")
    stage.world.version.storage.refresh_from_db()
    with pytest.raises(Conflict) as caught:
        create_vm(actor=SYSTEM, name="web", version=stage.world.version)
    assert caught.value.rule == "storage.reachable" and "does not answer" in str(caught.value)


def test_how_a_share_is_mounted(stage):
    wish = {"cluster": stage.world.cluster, "name": "nas", "kind": "nfs", "server": "192.0.2.10", "export": "/e"}
    for wrong, field in (
        ({"timeo": 1}, "timeo"), ({"timeo": "100,exec"}, "timeo"), ({"retrans": 0}, "retrans"),
        ({"port": 65536}, "port"), ({"hard": 1}, "hard"), ({"port": True}, "port"), ({"noexec": True}, "noexec"),
        (["soft"], "mount"),
    ):  # fmt: skip
        with pytest.raises(Invalid) as caught:
            create_storage(actor=SYSTEM, **wish, mount=wrong)
        assert caught.value.field == field
    nas = create_storage(actor=SYSTEM, **wish, mount={"timeo": 50, "port": 2050})
    assert specs.storage_spec(nas).mount == ("soft", "timeo=50", "retrans=3", "port=2050")
    with pytest.raises(Conflict) as refused:
        edit_storage(actor=SYSTEM, storage=nas, mount={"hard": True})
    assert refused.value.rule == "storage.maintenance"
    edit_storage(actor=SYSTEM, storage=nas, mount={"timeo": 50})  # nothing is changed by it
    maintain_storage(actor=SYSTEM, storage=nas)
    edit_storage(actor=SYSTEM, storage=nas, mount={"hard": True})
    nas.refresh_from_db()
    assert specs.storage_spec(nas).mount == ("hard", "timeo=50", "retrans=3", "port=2050")
    with pytest.raises(Invalid):
        edit_storage(actor=SYSTEM, storage=stage.world.storage, mount={"hard": True})
