"""Notes on a storage: torn ones do not count, a foreign Berth keeps its storage, what leaves comes back whole."""

import json
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.core import clock
from broker.core.errors import Conflict, Invalid
from broker.events.models import Event
from broker.virt import specs, storage_duty, storage_found, storage_notes
from broker.virt.actions.create_storage import create_storage
from broker.virt.actions.create_vm import create_vm
from broker.virt.actions.detach_storage import detach_storage
from broker.virt.actions.import_found import import_found
from broker.virt.actions.maintain_storage import maintain_storage
from broker.virt.actions.start_vm import start_vm
from broker.virt.actions.take_storage import take_storage
from broker.virt.driver import Refused
from broker.virt.models import Host, StorageDomain, TemplateVersion, VirtualMachine, VmTemplate
from tests.jobs_help import run_all
from tests.virt.actions.conftest import stage  # noqa: F401 - a fixture
from tests.virt.actions.stage import SYSTEM, ended

ALONE = {"name": "ok", "linked": False, "graphics": ["vnc"]}


class TestNotes:
    def test_the_newest_whole_one_counts(self):
        old, new = storage_notes.seal({"a": 1}, 4), storage_notes.seal({"a": 2}, 5)
        assert storage_notes.newest([new, old]).document == {"a": 2}
        assert storage_notes.newest([old, new[:-1]]).document == {"a": 1}
        assert storage_notes.newest([new + b"what was there before", b""]).sequence == 5
        assert storage_notes.newest([]) is None

    @given(st.binary(max_size=200))
    def test_what_is_no_note_is_none(self, data):
        assert storage_notes.newest([data]) is None

    @given(st.integers(0, 200), st.integers(1, 255))
    def test_a_changed_byte_makes_it_none_or_changes_nothing(self, at, change):
        whole = storage_notes.seal({"name": "öäü", "n": [1, 2]}, 7)
        data = bytearray(whole)
        data[at % len(whole)] ^= change
        note = storage_notes.newest([bytes(data)])
        assert note is None or note.document == {"name": "öäü", "n": [1, 2]}


@pytest.fixture
def seen(stage):  # noqa: F811
    Host.objects.update(observed_at=clock.now())
    return stage


def notes(stage, storage):  # noqa: F811
    return storage_notes.newest(stage.line.read_notes(specs.storage_spec(storage))).document


def test_the_duty_writes_once_for_each_change(seen):
    storage = seen.world.storage
    storage_duty.keep_notes()
    first = notes(seen, storage)
    assert [one["row"]["volume"] for one in first["versions"]] == [seen.world.version.volume]
    written = StorageDomain.objects.get(pk=storage.pk).noted
    storage_duty.keep_notes()
    assert StorageDomain.objects.get(pk=storage.pk).noted == written
    vm = seen.make("web")
    storage_duty.keep_notes()
    assert [one["id"] for one in notes(seen, storage)["machines"]] == [str(vm.pk)]
    text = json.dumps(notes(seen, storage))
    assert "power_state" not in text and storage_notes.installation() in text


def leave_and_return(seen) -> StorageDomain:
    """The storage goes with all that is on it and is added anew."""
    storage = StorageDomain.objects.get()
    maintain_storage(actor=SYSTEM, storage=storage)
    job = ended(detach_storage(actor=SYSTEM, storage=storage))
    assert job.state == "succeeded", job.error
    assert not VirtualMachine.objects.exists() and not VmTemplate.objects.exists()
    assert seen.machines() == {}
    again = create_storage(actor=SYSTEM, cluster=seen.world.cluster, name="back", path=storage.path)
    storage_duty.keep_notes()
    again.refresh_from_db()
    return again


def test_what_leaves_with_its_storage_comes_back_and_starts(seen):
    vm = seen.make("web", title="The web")
    mac, volume = vm.nics.get().mac, vm.disks.get().volume
    VirtualMachine.objects.update(power_state="off")
    storage = leave_and_return(seen)
    found = storage_found.on(storage)
    assert [(one.kind, one.name) for one in found] == [("template-version", "desk v1"), ("vm", "web")]
    with pytest.raises(Conflict) as caught:
        import_found(actor=SYSTEM, storage=storage, found=vm.pk)
    assert caught.value.rule == "storage.template"
    for one in found:
        import_found(actor=SYSTEM, storage=storage, found=one.id)
    back = VirtualMachine.objects.get()
    assert (back.pk, back.title, back.nics.get().mac, back.disks.get().volume) == (vm.pk, "The web", mac, volume)
    assert TemplateVersion.objects.get().state == "ready" and storage_found.on(storage) == []
    assert ended(start_vm(actor=SYSTEM, vm=back)).state == "succeeded"
    assert seen.machines() == {"web": "running"}
    with pytest.raises(Invalid):
        import_found(actor=SYSTEM, storage=storage, found=vm.pk)


def test_a_taken_name_is_told_and_another_one_helps(seen):
    vm = seen.make("web", linked=False)
    VirtualMachine.objects.update(power_state="off")
    storage = leave_and_return(seen)
    import_found(actor=SYSTEM, storage=storage, found=storage_found.on(storage)[0].id)
    create_vm(actor=SYSTEM, name="web", version=TemplateVersion.objects.get())
    with pytest.raises(Conflict) as caught:
        import_found(actor=SYSTEM, storage=storage, found=vm.pk)
    assert caught.value.rule == "name.unique"
    assert import_found(actor=SYSTEM, storage=storage, found=vm.pk, name="web-2").name == "web-2"
    run_all()


@pytest.mark.parametrize(
    "harm",
    [
        {"row": {"name": "../x"}},
        {"row": ALONE | {"vcpus": "many"}},
        {"row": ALONE | {"memory_mib": -1}},
        {"row": ALONE | {"machine": "virt"}},
        {"row": ALONE | {"graphics": ["rdp"]}},
        {"row": ALONE | {"options": {"firmware": "/etc/shadow"}}},
        {"row": ALONE | {"options": {"emulator": "/bin/sh"}}},
        {"row": ALONE, "disks": 7},
        {"row": ALONE, "disks": [{"id": str(uuid4()), "row": {"volume": "../../etc/passwd"}}]},
        {"row": ALONE, "disks": [{"id": str(uuid4()), "row": {"volume": "json:{}"}}]},
        {"row": {"name": "ok", "linked": True}, "version": "x"},
        {"row": ALONE, "nics": [{"network": "default", "row": {"mac": "x' or 1"}}]},
    ],
)
def test_notes_from_outside_are_believed_in_nothing(seen, harm):
    entry = {"id": str(uuid4()), "version": None, "disks": [], "nics": []} | harm
    StorageDomain.objects.update(found={"machines": [entry, 3, None, {"id": 1}], "versions": "x"})
    storage = StorageDomain.objects.get()
    (one,) = storage_found.on(storage)
    with pytest.raises(Invalid):
        import_found(actor=SYSTEM, storage=storage, found=one.id)
    assert not VirtualMachine.objects.exists()


def test_the_storage_of_another_berth_is_left_alone_until_it_is_taken_over(seen, monkeypatch):
    storage = seen.world.storage
    spec = specs.storage_spec(storage)
    foreign = {"installation": "f" * 32, "state": "attached", "machines": [], "versions": []}
    seen.line.write_note(spec, 0, storage_notes.seal(foreign, 9))
    storage_duty.keep_notes()
    storage.refresh_from_db()
    assert storage.held_by == "f" * 32 and notes(seen, storage) == foreign
    with pytest.raises(Conflict) as caught:
        create_vm(actor=SYSTEM, name="web", version=TemplateVersion.objects.get())
    assert caught.value.rule == "storage.held"
    take_storage(actor=SYSTEM, storage=storage)
    storage_duty.keep_notes()
    assert notes(seen, storage)["installation"] == storage_notes.installation()
    with pytest.raises(Conflict):
        take_storage(actor=SYSTEM, storage=StorageDomain.objects.get())


def test_one_that_the_other_berth_lets_go_is_ours_with_what_it_noted_last(seen):
    storage = seen.world.storage
    spec = specs.storage_spec(storage)
    machine = {"id": str(uuid4()), "row": {"name": "theirs"}}
    words = {"installation": "f" * 32, "versions": []}
    seen.line.write_note(spec, 0, storage_notes.seal(words | {"state": "attached", "machines": []}, 9))
    storage_duty.keep_notes()
    storage_duty.keep_notes()
    assert StorageDomain.objects.get(pk=storage.pk).held_by
    assert Event.objects.filter(kind="storage.held").count() == 1  # it is said once
    seen.line.write_note(spec, 1, storage_notes.seal(words | {"state": "detached", "machines": [machine]}, 10))
    storage_duty.keep_notes()
    storage.refresh_from_db()
    assert not storage.held_by and [one.name for one in storage_found.on(storage)] == ["theirs"]
    storage_duty.keep_notes()
    assert notes(seen, storage)["installation"] == storage_notes.installation()


def test_a_storage_in_use_or_needed_elsewhere_stays(seen):
    storage = seen.world.storage
    with pytest.raises(Conflict) as caught:
        detach_storage(actor=SYSTEM, storage=storage)
    assert caught.value.rule == "storage.maintenance"
    other = create_storage(actor=SYSTEM, cluster=seen.world.cluster, name="other", path="/srv/other")
    seen.make("clone", storage=other)
    maintain_storage(actor=SYSTEM, storage=storage)
    with pytest.raises(Conflict) as caught:
        detach_storage(actor=SYSTEM, storage=storage)
    assert caught.value.rule == "storage.detach" and "clone" in caught.value.message


def test_the_duty_compares_only_when_something_happened(seen, monkeypatch):
    compared = []
    monkeypatch.setattr(storage_duty, "keep_notes", lambda: compared.append(1) or True)
    monkeypatch.setattr(storage_duty._Watch, "mark", None)
    storage_duty.watch()
    storage_duty.watch()
    assert len(compared) == 1
    seen.make("web")  # events tell of it
    storage_duty.watch()
    storage_duty.watch()
    assert len(compared) == 2
    storage_duty._Watch.until = 0.0
    storage_duty.watch()
    assert len(compared) == 3


def test_the_duty_tries_again_what_it_could_not_write(seen, monkeypatch):
    monkeypatch.setattr(storage_duty._Watch, "mark", None)
    seen.sim.fail_next("write_note", Refused("no"))
    storage_duty.watch()
    assert not StorageDomain.objects.get().noted
    assert storage_duty._Watch.until < clock.steady() + storage_duty.COMPARE_EVERY / 2
    storage_duty._Watch.until = 0.0
    storage_duty.watch()
    assert StorageDomain.objects.get().noted
