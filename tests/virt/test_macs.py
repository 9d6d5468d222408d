"""A cluster's ranges of addresses: what is refused, that the last free one is found, and what is counted."""

import pytest

from broker.core.errors import Conflict, Invalid
from broker.virt import macs, names
from broker.virt.actions.clone_vm import clone_vm
from broker.virt.actions.create_cluster import create_cluster
from broker.virt.actions.create_nic import create_nic
from broker.virt.actions.create_vm import create_vm
from broker.virt.actions.edit_cluster import edit_cluster
from broker.virt.models import Cluster, Nic, VirtualMachine
from tests.virt.actions.conftest import stage as stage
from tests.virt.actions.stage import SYSTEM, ended

FOUR = "52:54:00:10:00:00-52:54:00:10:00:03"


def test_ranges_are_put_in_order_and_written_alike():
    text = " 52:54:00:AA:00:00 – 52:54:00:aa:00:ff ,52:54:00:10:00:00-52:54:00:10:00:00\n\n"
    assert macs.checked(text) == "52:54:00:10:00:00-52:54:00:10:00:00\n52:54:00:aa:00:00-52:54:00:aa:00:ff"
    assert macs.checked(macs.checked(text)) == macs.checked(text)
    assert macs.checked(" \n,") == ""


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("52:54:00:10:00:03-52:54:00:10:00:00", "ends before it begins"),
        ("53:54:00:10:00:00-53:54:00:10:00:03", "not a range"),
        ("52:ff:ff:ff:ff:fe-53:00:00:00:00:01", "not a range"),
        ("ff:ff:ff:ff:ff:ff-ff:ff:ff:ff:ff:ff", "not a range"),
        ("00:00:00:00:00:00-00:00:00:00:00:09", "not a range"),
        ("fe:54:00:10:00:00-fe:54:00:10:00:03", "taken by libvirt"),
        ("52:54:00:00:00:00-52:54:01:00:00:00", "more than 16777216"),
        ("52:54:00:00:00:00-52:54:00:ff:ff:ff, 52:54:01:00:00:00-52:54:01:00:00:00", "more than 16777216"),
        ("52:54:00:00:00:00-54:00:00:00:00:00", "more than 16777216"),
        (f"{FOUR}\n52:54:00:10:00:03-52:54:00:10:00:09", "overlap"),
        (f"{FOUR}\n52:54:00:10:00:01-52:54:00:10:00:02", "overlap"),
        (f"{FOUR}\n{FOUR}", "overlap"),
        ("52:54:00:10:00:00", "not a range"),
        ("52:54:00:10:00:00-", "not a range"),
        ("52-54-00-10-00-00-52-54-00-10-00-03", "not a range"),
        (f"{FOUR}-52:54:00:10:00:09", "not a range"),
        ("52:54:00:10:00:0x-52:54:00:10:00:0z", "not a range"),
        ("٥2:54:00:10:00:00-52:54:00:10:00:03", "not a range"),
        ("x" * 100_000, "not a range"),
        ("\n".join([FOUR] * 33), "too many"),
    ],
)
def test_what_is_no_range_is_refused_in_words(stage, text, word):
    with pytest.raises(Invalid) as caught:
        edit_cluster(actor=SYSTEM, cluster=stage.world.cluster, mac_ranges=text)
    assert word in caught.value.message and caught.value.field == "mac_ranges" and caught.value.fix
    assert len(str(caught.value)) < 400
    assert Cluster.objects.get().mac_ranges == ""
    with pytest.raises(Invalid):
        create_cluster(actor=SYSTEM, name="second", mac_ranges=text)


@pytest.mark.parametrize("mac", ["00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:01"])
def test_no_card_has_the_address_of_nobody_or_of_many(mac):
    with pytest.raises(Invalid):
        names.mac(mac)


def test_a_cluster_without_ranges_takes_qemus_prefix_and_one_with_takes_its_own(stage):
    first = stage.make("one").nics.get()
    assert first.mac.startswith("52:54:00:")
    edit_cluster(actor=SYSTEM, cluster=stage.world.cluster, mac_ranges="02:00:00:00:00:00-02:00:00:00:00:01")
    assert stage.make("two").nics.get().mac in ("02:00:00:00:00:00", "02:00:00:00:00:01")
    assert Nic.objects.get(pk=first.pk).mac == first.mac, "machines keep their addresses"
    (use,) = macs.use_of(Cluster.objects.all()).values()
    assert (use.size, use.used) == (2, 1)


def test_the_last_free_address_is_found_and_then_it_is_refused(stage):
    cluster = edit_cluster(
        actor=SYSTEM, cluster=stage.world.cluster,
        mac_ranges="02:00:00:00:00:00-02:00:00:00:0f:fe\n02:00:00:00:10:00-02:00:00:00:10:01",
    )  # fmt: skip
    vm = stage.make("one", network=None)
    every = {f"02:00:00:00:{n >> 8:02x}:{n & 255:02x}" for n in range(0x1002)} - {"02:00:00:00:0f:ff"}
    free = {"02:00:00:00:00:00", "02:00:00:00:0a:bc", "02:00:00:00:10:01"}
    Nic.objects.bulk_create([Nic(vm=vm, network=stage.world.network, mac=mac) for mac in every - free])
    made = {macs.plug(Nic(vm=vm, network=stage.world.network)).mac for _ in free}
    assert made == free
    with pytest.raises(Conflict) as caught:
        macs.plug(Nic(vm=vm, network=stage.world.network))
    assert caught.value.rule == "mac.free"
    for word in ("4097", cluster.name, "02:00:00:00:00:00-02:00:00:00:0f:fe", "02:00:00:00:10:00-02:00:00:00:10:01"):
        assert word in caught.value.message
    assert "one more range" in caught.value.fix
    counts = macs.used(macs.ranges_of(cluster))
    assert list(counts.values()) == [4095, 2]


def test_a_full_range_refuses_machines_clones_and_cards_and_leaves_nothing(stage):
    edit_cluster(actor=SYSTEM, cluster=stage.world.cluster, mac_ranges="02:00:00:00:00:00-02:00:00:00:00:00")
    vm = stage.make("one")
    for attempt in (
        lambda: create_vm(actor=SYSTEM, name="two", version=stage.world.version, network=stage.world.network),
        lambda: clone_vm(actor=SYSTEM, vm=vm, name="three"),
        lambda: create_nic(actor=SYSTEM, vm=vm, network=stage.world.network),
    ):
        with pytest.raises(Conflict) as caught:
            attempt()
        assert caught.value.rule == "mac.free"
    assert [one.name for one in VirtualMachine.objects.all()] == ["one"] and Nic.objects.count() == 1
    nic = create_nic(actor=SYSTEM, vm=vm, network=stage.world.network, mac="52:54:00:AA:00:01")
    assert nic.mac == "52:54:00:aa:00:01", "by hand also outside of the range"
    nic.delete()
    edit_cluster(actor=SYSTEM, cluster=stage.world.cluster, mac_ranges="02:00:00:00:00:00-02:00:00:00:00:01")
    job = ended(clone_vm(actor=SYSTEM, vm=vm, name="three"))
    assert job.state == "succeeded" and Nic.objects.get(vm=job.subject_id).mac == "02:00:00:00:00:01"


def test_ranges_of_two_clusters_may_overlap_and_no_address_is_there_twice(stage):
    other = create_cluster(actor=SYSTEM, name="second", mac_ranges=FOUR)
    edit_cluster(actor=SYSTEM, cluster=stage.world.cluster, mac_ranges=FOUR)
    vm = stage.make("one", network=None)
    there = VirtualMachine.objects.create(cluster=other, name="there")
    for each in (vm, there, vm, there):
        macs.plug(Nic(vm=each, network=stage.world.network))
    assert Nic.objects.values("mac").distinct().count() == 4
    assert {use.used for use in macs.use_of(Cluster.objects.all()).values()} == {4}
    with pytest.raises(Conflict):
        macs.plug(Nic(vm=there, network=stage.world.network))


def test_uses_are_counted_by_one_query(stage, django_assert_num_queries):
    edit_cluster(actor=SYSTEM, cluster=stage.world.cluster, mac_ranges=FOUR)
    for number in range(5):
        create_cluster(actor=SYSTEM, name=f"more-{number}", mac_ranges=f"{FOUR},02:00:00:00:00:00-02:00:00:00:00:09")
    clusters = list(Cluster.objects.all())
    with django_assert_num_queries(1):
        assert len(macs.use_of(clusters)) == 6


def test_several_cards_are_written_at_once_with_addresses_of_their_own_or_kept(stage):
    vm, network = stage.make(), stage.world.network
    there = vm.nics.get().mac
    kept, second, taken = (Nic(vm=vm, network=network, order=number) for number in (1, 2, 3))
    kept.mac, taken.mac = "52:54:00:ab:cd:ef", there
    macs.plug_all([second, taken, kept])
    assert Nic.objects.get(pk=kept.pk).mac == "52:54:00:ab:cd:ef"
    assert len({there, kept.mac, second.mac, taken.mac}) == 4 and vm.nics.count() == 4
    macs.plug_all([])
