"""Clusters, hosts, storage, networks and templates: what is made, what is refused and why."""

import subprocess

import pytest

from broker.core.errors import Conflict, Invalid
from broker.events.models import Event
from broker.jobs.models import Job
from broker.virt import specs
from broker.virt.actions.activate_host import activate_host
from broker.virt.actions.create_cluster import create_cluster
from broker.virt.actions.create_host import create_host
from broker.virt.actions.create_network import create_network
from broker.virt.actions.create_storage import create_storage
from broker.virt.actions.create_template import create_template
from broker.virt.actions.create_vm import create_vm
from broker.virt.actions.delete_cluster import delete_cluster
from broker.virt.actions.delete_host import delete_host
from broker.virt.actions.delete_network import delete_network
from broker.virt.actions.delete_storage import delete_storage
from broker.virt.actions.delete_template import delete_template
from broker.virt.actions.delete_template_version import delete_template_version
from broker.virt.actions.delete_vm import delete_vm
from broker.virt.actions.edit_network import edit_network
from broker.virt.actions.edit_template import edit_template
from broker.virt.actions.edit_vm import edit_vm
from broker.virt.actions.import_template_version import import_template_version
from broker.virt.actions.maintain_host import maintain_host
from broker.virt.driver import NoSpace
from broker.virt.models import Cluster, Host, Network, Nic, StorageDomain, TemplateVersion, VirtualMachine, VmTemplate
from tests.virt.actions.stage import SYSTEM, done, ended, fresh


def test_a_cluster_with_everything_and_its_end(stage):
    cluster = create_cluster(actor=SYSTEM, name="second")
    host = create_host(actor=SYSTEM, cluster=cluster, name="h2", driver="simulated", uri="sim://h2")
    storage = create_storage(actor=SYSTEM, cluster=cluster, name="s2", path="/srv/two", host=host)
    network = create_network(actor=SYSTEM, cluster=cluster, name="n2", kind="nat", subnet="10.9.0.0/24")
    template = create_template(actor=SYSTEM, cluster=cluster, name="t2")
    edit_template(actor=SYSTEM, template=template, description="fine", os_name="Debian 12")
    assert VmTemplate.objects.get(name="t2").os_name == "Debian 12"
    with pytest.raises(Conflict) as caught:
        delete_cluster(actor=SYSTEM, cluster=cluster)
    assert "host h2" in caught.value.message
    with pytest.raises(Conflict):
        delete_host(actor=SYSTEM, host=host)
    maintain_host(actor=SYSTEM, host=host)
    with pytest.raises(Conflict) as caught:
        delete_host(actor=SYSTEM, host=host)
    assert "s2" in caught.value.message
    assert delete_template(actor=SYSTEM, template=template) == []
    delete_storage(actor=SYSTEM, storage=storage)
    delete_network(actor=SYSTEM, network=network)
    delete_host(actor=SYSTEM, host=host)
    delete_cluster(actor=SYSTEM, cluster=cluster)
    assert not Cluster.objects.filter(name="second").exists()
    gone = Event.objects.filter(kind__endswith=".deleted").values_list("subject_name", flat=True)
    assert set(gone) == {"s2", "n2", "h2", "second"}


def test_names_are_taken_once(stage):
    for action, wish in (
        (create_cluster, {"name": "main"}),
        (create_host, {"cluster": stage.world.cluster, "name": "host-1", "driver": "simulated", "uri": "sim://x"}),
        (create_storage, {"cluster": stage.world.cluster, "name": "disks", "path": "/srv/other"}),
        (create_network, {"cluster": stage.world.cluster, "name": "default", "subnet": "10.3.0.0/24"}),
        (create_template, {"cluster": stage.world.cluster, "name": "desk"}),
    ):
        with pytest.raises(Conflict) as caught:
            action(actor=SYSTEM, **wish)
        assert "already" in caught.value.message


def test_maintenance_and_back(stage):
    host = maintain_host(actor=SYSTEM, host=stage.world.host)
    with pytest.raises(Conflict):
        maintain_host(actor=SYSTEM, host=host)
    assert Host.objects.get().state == "maintenance"
    activate_host(actor=SYSTEM, host=host)
    assert Host.objects.get().state == "active"


def test_overlapping_storage_is_refused(stage):
    cluster = stage.world.cluster
    create_storage(actor=SYSTEM, cluster=cluster, name="a", path="/srv/a")
    for path in ("/srv/a", "/srv/a/b", "/srv"):
        with pytest.raises(Conflict):
            create_storage(actor=SYSTEM, cluster=cluster, name="b", path=path)
    create_storage(actor=SYSTEM, cluster=cluster, name="b", path="/srv/ab")


def test_networks(stage):
    cluster = stage.world.cluster
    for wish in (
        {"kind": "vxlan"},
        {"kind": "nat"},
        {"kind": "isolated", "subnet": "8.8.8.0/24"},
        {"kind": "bridge"},
        {"kind": "bridge", "bridge": "br 0"},
    ):
        with pytest.raises(Invalid):
            create_network(actor=SYSTEM, cluster=cluster, name="x", **wish)
    with pytest.raises(Conflict):
        create_network(actor=SYSTEM, cluster=cluster, name="x", subnet="192.168.0.0/16")
    create_network(actor=SYSTEM, cluster=cluster, name="x", kind="bridge", bridge="br0")
    assert Network.objects.get(name="x").subnet == ""


def test_the_mtu_of_a_network(stage):
    network, cluster = stage.world.network, stage.world.cluster
    for kind, place in (("bridge", {"bridge": "br0"}), ("ovs", {"bridge": "ovs0"})):
        with pytest.raises(Invalid) as refused:
            create_network(actor=SYSTEM, cluster=cluster, name=kind, kind=kind, mtu=9000, **place)
        assert (refused.value.rule, refused.value.field) == ("network.mtu", "mtu") and refused.value.fix
        assert create_network(actor=SYSTEM, cluster=cluster, name=kind, kind=kind, mtu=0, **place).mtu == 0
    for wrong in (67, 65521, -1, True):
        with pytest.raises(Invalid):
            edit_network(actor=SYSTEM, network=network, mtu=wrong)
    for right in (68, 65520, 0):
        assert edit_network(actor=SYSTEM, network=network, mtu=right).mtu == right
    assert specs.network_spec(edit_network(actor=SYSTEM, network=network, mtu=9000)).mtu == 9000
    vm = stage.make()
    VirtualMachine.objects.filter(pk=vm.pk).update(power_state="running")
    Nic.objects.get_or_create(vm=vm, network=network, defaults={"mac": "52:54:00:00:00:99"})
    with pytest.raises(Conflict) as held:
        edit_network(actor=SYSTEM, network=network, mtu=1400)
    assert held.value.rule == "network.quiet"
    assert edit_network(actor=SYSTEM, network=network, mtu=9000, guard="mac").guard == "mac", "nothing of its place"


@pytest.mark.parametrize(
    ("field", "wish"),
    [
        ("name", {"name": "a\u200bb"}),
        ("title", {"title": "a\nb"}),
        ("description", {"description": "\x1b[31m"}),
        ("vcpus", {"vcpus": 0}),
        ("vcpus", {"vcpus": True}),
        ("memory_mib", {"memory_mib": 1}),
        ("memory_mib", {"memory_mib": "64"}),
    ],
)
def test_bad_wishes_for_a_machine_touch_nothing(stage, field, wish):
    with pytest.raises(Invalid) as caught:
        create_vm(actor=SYSTEM, **{"name": "x", "version": stage.world.version, **wish})
    assert caught.value.field == field
    assert (VirtualMachine.objects.count(), Job.objects.count(), Event.objects.count()) == (0, 0, 0)


def test_a_machine_name_is_taken_once(stage):
    stage.make("one")
    with pytest.raises(Conflict):
        create_vm(actor=SYSTEM, name="one", version=stage.world.version)


def test_a_machine_does_not_mix_clusters(stage):
    other = Cluster.objects.create(name="other")
    far = StorageDomain.objects.create(cluster=other, name="far", path="/srv/far")
    network = Network.objects.create(cluster=other, name="far", subnet="10.5.0.0/24")
    for wish in ({"storage": far}, {"network": network}):
        with pytest.raises(Invalid):
            create_vm(actor=SYSTEM, name="x", version=stage.world.version, **wish)


def test_edit_records_what_changed_and_nothing_else(stage):
    vm = stage.make()
    before = Event.objects.count()
    edit_vm(actor=SYSTEM, vm=vm, title="", vcpus=1)
    assert Event.objects.count() == before
    edit_vm(actor=SYSTEM, vm=vm, title="New", memory_mib=1024)
    assert Event.objects.get(kind="vm.edited").params["fields"] == "memory_mib, title"


def test_what_machines_use_cannot_go(stage):
    vm, world = stage.make(), stage.world
    for action, wish in (
        (delete_storage, {"storage": world.storage}),
        (delete_network, {"network": world.network}),
        (delete_template_version, {"version": world.version}),
        (delete_cluster, {"cluster": world.cluster}),
    ):
        with pytest.raises(Conflict) as caught:
            action(actor=SYSTEM, **wish)
        assert caught.value.params["users"]
    with pytest.raises(Conflict) as caught:
        delete_template(actor=SYSTEM, template=world.template)
    assert "desk-1" in caught.value.message
    assert fresh(vm).template_version == world.version
    assert TemplateVersion.objects.get().state == "ready"


@pytest.fixture
def image(stage, settings, tmp_path):
    settings.DATA_DIR = tmp_path
    (tmp_path / "import").mkdir()
    subprocess.run(
        ["qemu-img", "create", "-f", "qcow2", str(tmp_path / "import" / "desk.qcow2"), "5M"],
        check=True,
        capture_output=True,
    )
    return "desk.qcow2"


def importing(stage, source, **wish):
    return import_template_version(
        actor=SYSTEM, template=stage.world.template, storage=stage.world.storage, source=source, memory_mib=64, **wish
    )


def test_import_makes_the_next_version(stage, image):
    job = done(importing(stage, image, graphics=["vnc"], notes="first"))
    version = TemplateVersion.objects.get(pk=job.subject_id)
    assert (version.number, version.state, version.size_bytes) == (2, "ready", 5 << 20)
    assert stage.volumes() == {version.volume}
    assert Event.objects.filter(kind="template.imported").count() == 1


def test_import_that_fails_leaves_nothing(stage, image):
    stage.sim.fail_next("copy_volume", NoSpace("full"))
    job = ended(importing(stage, image))
    assert job.state == "failed"
    assert TemplateVersion.objects.count() == 1
    assert stage.volumes() == set()


def test_an_image_exchanged_after_it_was_accepted_is_refused(stage, image, tmp_path):
    job = importing(stage, image)
    (tmp_path / "import" / image).unlink()
    (tmp_path / "import" / image).symlink_to("/etc/passwd")
    ended(job)
    assert (job.state, job.error["code"]) == ("failed", "invalid")
    assert TemplateVersion.objects.count() == 1


@pytest.mark.parametrize(
    "wish", [{"machine": "isapc"}, {"graphics": ["rdp"]}, {"graphics": []}, {"vcpus": 0}, {"source": "../x"}]
)
def test_bad_wishes_for_an_import(stage, image, wish):
    with pytest.raises(Invalid):
        importing(stage, wish.pop("source", image), **wish)
    assert TemplateVersion.objects.count() == 1


def test_delete_version_leaves_the_other(stage, image):
    version = TemplateVersion.objects.get(pk=done(importing(stage, image)).subject_id)
    done(delete_template_version(actor=SYSTEM, version=version))
    assert list(TemplateVersion.objects.all()) == [stage.world.version]
    assert stage.volumes() == set()


def test_full_copies_do_not_hold_a_version(stage):
    vm = stage.make(linked=False)
    done(delete_template_version(actor=SYSTEM, version=stage.world.version))
    assert fresh(vm).template_version is None
    done(delete_vm(actor=SYSTEM, vm=fresh(vm)))


def test_delete_template_with_all_its_versions(stage, image):
    done(importing(stage, image))
    for job in delete_template(actor=SYSTEM, template=stage.world.template):
        done(job)
    assert not VmTemplate.objects.exists()
    assert stage.volumes() == set()
