"""What every hypervisor driver must do, run against each driver there is (see harness.py).

What concerns running machines is in test_driver_running.py.
"""

import uuid
from dataclasses import replace

import pytest

from broker.core.errors import Invalid
from broker.virt.driver import (
    DiskSpec,
    HostConnection,
    NetworkSpec,
    NicSpec,
    NotFound,
    PowerState,
    Refused,
    StorageSpec,
)
from broker.virt.drivers import known, load
from tests.contracts.harness import HARNESSES

NOBODY = "11111111-2222-3333-4444-555555555555"


def test_every_driver_has_a_harness():
    assert set(known()) == set(HARNESSES)


@pytest.mark.parametrize("name", known())
def test_a_driver_offers_what_the_protocol_says(name):
    driver = load(name)
    assert driver.name == name
    assert callable(driver.connect)


def test_an_unknown_driver_is_refused():
    with pytest.raises(Invalid):
        load("nothing")


class TestHost:
    def test_is_a_whole_connection(self, host):
        assert isinstance(host, HostConnection)
        assert host.alive()

    def test_facts(self, host):
        facts = host.facts()
        uuid.UUID(facts.uuid)
        assert facts.hostname and facts.hypervisor and facts.manager
        assert facts.cpus >= 1 and facts.memory > 0
        assert facts.emulated is bool(facts.emulated_reason)
        assert "vnc" in facts.graphics

    def test_facts_stay_the_same(self, host):
        moving = {"memory": 0, "memory_free": 0, "ticked_seconds": None}
        assert replace(host.facts(), **moving) == replace(host.facts(), **moving)

    def test_a_foreign_uri_is_refused(self, driver_name):
        with pytest.raises(Invalid):
            load(driver_name).connect("gopher://nowhere/")

    def test_closing_twice(self, host):
        host.close()
        host.close()
        assert not host.alive()


class TestDefinitions:
    def test_a_new_machine_is_off_and_ours(self, host, machine, spec):
        (seen,) = [one for one in host.observe() if one.uuid == machine]
        assert (seen.name, seen.power, seen.mark) == ("one", PowerState.OFF, "mark-1")
        assert (seen.vcpus, seen.memory, seen.boot_id, seen.consoles) == (1, 32 << 20, "", ())
        assert seen.definition

    def test_defining_twice_changes_nothing(self, host, machine, spec, events):
        before = host.observe_one(machine).definition
        host.define(spec)
        assert host.observe_one(machine).definition == before

    def test_a_change_of_the_spec_arrives(self, host, machine, spec):
        before = host.observe_one(machine)
        host.define(replace(spec, memory_mib=48, vcpus=2, title="Two <cores> & “quotes”"))
        after = host.observe_one(machine)
        assert (after.memory, after.vcpus) == (48 << 20, 2)
        assert after.definition != before.definition
        assert "cores" in host.definition(machine)

    def test_a_new_name(self, host, machine, spec):
        host.define(replace(spec, name="renamed"))
        assert host.observe_one(machine).name == "renamed"

    def test_a_name_is_given_once(self, host, machine, spec):
        with pytest.raises(Refused):
            host.define(replace(spec, uuid=str(uuid.uuid4())))

    @pytest.mark.parametrize("name", ["", "a/b", "../up", "a,b", "-x", "json:{}", "a\nb", "a\0b", "x" * 10_000, "a b"])
    def test_a_bad_name_is_refused(self, host, spec, name):
        with pytest.raises(Invalid):
            host.define(replace(spec, name=name))
        assert host.observe() == ()

    @pytest.mark.parametrize("path", ["", "rel.qcow2", "json:{}", "/a/../b", "/a,b", "nbd://host/x", "/a\nb"])
    def test_a_bad_path_is_refused(self, host, spec, path):
        with pytest.raises(Invalid):
            host.define(replace(spec, disks=(DiskSpec(path=path, format="qcow2", target="vda"),)))
        assert host.observe() == ()

    def test_undefine_twice(self, host, machine):
        host.undefine(machine)
        host.undefine(machine)
        assert host.observe() == ()
        assert host.observe_one(machine).power is PowerState.MISSING

    def test_a_running_machine_is_not_undefined(self, host, machine):
        host.start(machine)
        with pytest.raises(Refused):
            host.undefine(machine)
        assert host.observe_one(machine).power is PowerState.RUNNING

    def test_the_definition_of_nothing(self, host):
        with pytest.raises(NotFound):
            host.definition(NOBODY)

    def test_the_definition_is_the_same_after_a_run(self, host, machine):
        before = host.observe_one(machine).definition
        host.start(machine)
        assert host.observe_one(machine).definition == before
        host.power_off(machine)
        assert host.observe_one(machine).definition == before


class TestForeigners:
    def test_are_listed_and_stay_as_they_are(self, host, harness, machine):
        foreign = harness.add_foreign("foreign")
        before = host.definition(foreign)
        by_uuid = {seen.uuid: seen for seen in host.observe()}
        assert set(by_uuid) == {machine, foreign}
        assert (by_uuid[foreign].mark, by_uuid[foreign].name) == ("", "foreign")
        host.start(foreign)
        host.power_off(foreign)
        assert host.definition(foreign) == before


class TestStorage:
    def test_ensure_twice(self, host, store):
        info = host.ensure_storage(store)
        assert info.capacity >= info.available > 0
        assert host.storage(store).capacity == info.capacity

    def test_storage_nobody_attached(self, host):
        with pytest.raises(NotFound):
            host.volumes(StorageSpec(name="nowhere", kind="dir", path="/nowhere"))

    def test_a_copy_is_whole_and_independent(self, host, store, base, harness):
        assert (base.name, base.format, base.capacity, base.backing) == ("base.qcow2", "qcow2", 1 << 20, "")
        assert host.volumes(store) == (host.volume(store, "base.qcow2"),)
        shares = []
        copy = host.copy_volume(store, "copy.qcow2", source=base, progress=shares.append)
        assert copy.backing == ""
        assert shares == sorted(shares) and shares[-1] == 1.0
        assert [volume.name for volume in host.volumes(store)] == ["base.qcow2", "copy.qcow2"]

    def test_copying_twice(self, host, store, base):
        again = host.copy_volume(store, "base.qcow2", source=base)
        assert again == host.volume(store, "base.qcow2")

    def test_half_a_copy_does_not_count_and_is_done_again(self, host, store, base):
        host.copy_volume(store, "copy.qcow2", source=base)
        host.create_volume(store, "copy.qcow2.part", capacity=4096)  # what a killed copy leaves behind
        assert host.volume(store, "copy.qcow2") is None
        assert [volume.name for volume in host.volumes(store)] == ["base.qcow2"]
        host.copy_volume(store, "copy.qcow2", source=base)
        assert [volume.name for volume in host.volumes(store)] == ["base.qcow2", "copy.qcow2"]

    def test_overlays(self, host, store, base):
        first = host.create_volume(store, "overlay.qcow2", backing=base)
        assert (first.backing, first.capacity, first.format) == (base.path, base.capacity, "qcow2")
        assert host.create_volume(store, "overlay.qcow2", backing=base) == first
        with pytest.raises(Refused):
            host.create_volume(store, "overlay.qcow2", capacity=5 << 20)

    def test_a_blank_volume(self, host, store):
        made = host.create_volume(store, "blank.qcow2", capacity=5 << 20)
        assert (made.capacity, made.backing, made.format) == (5 << 20, "", "qcow2")

    def test_delete_twice(self, host, store, base):
        for _ in range(2):
            host.delete_volume(store, "base.qcow2")
        assert host.volumes(store) == ()
        assert host.volume(store, "base.qcow2") is None

    def test_wiping_takes_what_nothing_lies_on(self, host, store, base):
        host.create_volume(store, "above.qcow2", backing=base)
        with pytest.raises(Refused):
            host.wipe_volume(store, "base.qcow2")
        assert host.volume(store, "base.qcow2").format == "qcow2"
        shares: list[float] = []
        for name in ("above.qcow2", "base.qcow2"):
            for _ in range(2):
                host.wipe_volume(store, name, progress=shares.append)
                assert host.volume(store, name) is None  # whatever is left of it is no disk
            host.delete_volume(store, name)
            host.wipe_volume(store, name)  # nothing is left to do
        assert host.volumes(store) == () and shares[-1] == 1.0

    def test_a_file_deleted_by_somebody_else(self, host, store, base, harness):
        made = host.create_volume(store, "gone.qcow2", backing=base)
        harness.lose_file(made)
        assert host.volume(store, "gone.qcow2") is None
        assert host.create_volume(store, "gone.qcow2", backing=base).name == "gone.qcow2"

    @pytest.mark.parametrize("name", ["../up", "a/b", "a,b", "-rf", "json:{}", "", ".hidden", "a\nb"])
    def test_bad_names(self, host, store, name):
        with pytest.raises(Invalid):
            host.create_volume(store, name, capacity=1 << 20)
        with pytest.raises(Invalid):
            host.delete_volume(store, name)
        with pytest.raises(Invalid):
            host.wipe_volume(store, name)
        assert host.volumes(store) == ()


class TestNetworks:
    @pytest.mark.parametrize("kind", ["nat", "isolated"])
    def test_a_machine_on_a_network(self, host, spec, kind):
        lan = NetworkSpec(name="lan", uuid=str(uuid.uuid4()), kind=kind, subnet="192.0.2.0/24")
        for _ in range(2):
            host.ensure_network(lan)
        host.define(replace(spec, nics=(NicSpec(mac="52:54:00:12:34:56", network="lan"),)))
        host.start(spec.uuid)
        (seen,) = host.observe()
        assert seen.counters.net_received is not None
        host.power_off(spec.uuid)
        for _ in range(2):
            host.remove_network("lan")

    def test_another_kind_of_network_with_that_name(self, host):
        lan = NetworkSpec(name="lan2", uuid=str(uuid.uuid4()), kind="isolated", subnet="198.51.100.0/24")
        host.ensure_network(lan)
        with pytest.raises(Refused):
            host.ensure_network(replace(lan, kind="nat"))
        host.remove_network("lan2")
