"""Berth's own word with a real iSCSI target (tgt)."""

import io
import subprocess
import threading

import pytest
from django.core.management import call_command

from broker.virt import storage_notes
from broker.virt.driver import Locked, Refused, StorageSilent, StorageSpec
from broker.virt.iscsi import look, store
from broker.virt.iscsi import table as tables
from broker.virt.iscsi import units as scsi
from broker.virt.iscsi.session import Session
from broker.virt.iscsi.table import Entry, Table
from tests.lab.target import Target

pytestmark = pytest.mark.lab


@pytest.fixture
def target(lab_base, tmp_path):
    with Target(tmp_path, "127.0.0.1", luns=(16, 64, 32), user="berth", password="twelve-chars-x") as target:
        yield target


def opened(target: Target, **other: str) -> Session:
    words = {"user": target.user, "password": target.password} | other
    return Session(target.portal, target.name, **words)


def test_targets_are_found_and_let_in_by_chap_alone(target):
    with Session(target.portal) as session:
        assert session.targets() == {target.name: [target.portal]}
    for wrong in ({"password": "wrong-password"}, {"user": "", "password": ""}):
        with pytest.raises(Refused, match="does not let us in"):
            opened(target, **wrong)
    with opened(target) as session:
        assert [(one.lun, one.size >> 20) for one in scsi.units(session)] == [(1, 16), (2, 64), (3, 32)]


def test_the_command_lists_targets_and_what_is_on_their_luns(target, monkeypatch):
    told = io.StringIO()
    call_command("iscsi", target.portal, stdout=told)
    assert told.getvalue() == f"{target.name}  {target.portal}\n"
    monkeypatch.setattr("portal.management.commands.iscsi.getpass", lambda: target.password)
    with opened(target) as session:
        first, (disk, _) = tables.lay_out(session, ())
        tables.save(session, first, tables.save(session, first, Table()))
        scsi.write(session, disk, 0, b"something")
    told = io.StringIO()
    call_command("iscsi", target.portal, target=target.name, user=target.user, stdout=told)
    lines = told.getvalue().splitlines()
    assert lines == ["LUN 1  16 MiB  Berth's table", "LUN 2  64 MiB  something else", "LUN 3  32 MiB  blank"]


def test_a_second_berth_sees_whose_the_luns_are(target):
    """The first has noted itself down, with a disk; a file system lies on the third LUN."""
    spec = StorageSpec(
        name="san", kind="iscsi", path="/berth-iscsi/san", server=target.portal, export=target.name,
        user=target.user, password=target.password,
    )  # fmt: skip
    document = {"installation": "a" * 32, "berth": "vdi.example.org", "state": "attached", "storage": {"name": "san"}}
    with store.opened(spec) as shelf:
        store.claim(shelf)
        store.create(shelf, "web.qcow2", 8 << 20)
        store.write_note(shelf, "san", 1, storage_notes.seal(document, 1))
    subprocess.run(["mkfs.ext4", "-q", "-F", str(target.path(2))], check=True)
    (found,) = look.at(target.portal, user=target.user, password=target.password)
    assert found.name == target.name and found.portals == (target.portal,) and found.problem is None
    assert [(one.lun, one.content, one.volume) for one in found.luns] == [
        (1, "table", ""), (2, "ext", ""), (3, "volume", "web.qcow2"),
    ]  # fmt: skip
    notes = [storage_notes.newest(one.notes) for one in found.luns]
    holders = [storage_notes.holder(note.document) if note else "" for note in notes]
    assert holders == ["vdi.example.org", "", "vdi.example.org"]
    (kept_out,) = look.at(target.portal, user=target.user, password="wrong-password")
    assert kept_out.luns == () and "does not let us in" in str(kept_out.problem)
    with pytest.raises(StorageSilent):
        look.at("127.0.0.1:1")


def test_bytes_come_back_as_they_were_written(target):
    with opened(target) as session:
        unit = scsi.units(session)[1]
        data = bytes(range(256)) * 1200  # more than one command's worth
        scsi.write(session, unit, 8192, data)
        assert scsi.read(session, unit, 8192, len(data)) == data
    assert target.path(2).read_bytes()[8192:][: len(data)] == data


def test_the_table_outlives_a_torn_write_and_two_holders_wait_for_each_other(target, monkeypatch):
    with opened(target) as one, opened(target) as other:
        unit, disks = tables.lay_out(one, (1, 3))
        assert unit.lun == 1 and [disk.lun for disk in disks] == [3]
        with scsi.held(one, unit):
            assert tables.load(one, unit) == Table()
            saved = tables.save(one, unit, Table().put(Entry("a.qcow2", 3, 1 << 20)))
            monkeypatch.setattr(scsi, "_PATIENCE", 0.1)
            with pytest.raises(Locked), scsi.held(other, unit):
                raise AssertionError("the LUN was held")
            monkeypatch.setattr(scsi, "_PATIENCE", 20.0)
            got = threading.Event()

            def wait() -> None:
                with scsi.held(other, unit):
                    got.set()

            waiting = threading.Thread(target=wait)
            waiting.start()
        waiting.join(20)
        assert got.is_set()
        scsi.write(one, unit, tables.SLOT * ((saved.sequence + 1) % 2), b"berth-luns 1 9 torn")
        assert tables.load(other, unit) == saved


def test_a_holder_that_dies_lets_go(target):
    one = opened(target)
    unit, _ = tables.lay_out(one, ())
    hold = scsi.held(one, unit)
    hold.__enter__()
    one._line.close()
    with opened(target) as other, scsi.held(other, unit):
        assert tables.load(other, unit) == Table()


def test_what_is_somebody_elses_is_left_alone(target):
    with target.path(1).open("r+b") as file:
        file.write(b"a file system, say")
    with opened(target) as session:
        unit, _ = tables.lay_out(session, ())
        with pytest.raises(Refused, match="not blank"):
            tables.load(session, unit)
        with pytest.raises(Refused, match="no LUN 9"):
            tables.lay_out(session, (1, 9))


def test_a_lun_is_overwritten_from_end_to_end_and_does_not_count_meanwhile(target):
    spec = StorageSpec(
        name="san", kind="iscsi", path="/berth-iscsi/san", server=target.portal, export=target.name,
        user=target.user, password=target.password,
    )  # fmt: skip
    with store.opened(spec) as shelf:
        store.claim(shelf)
        store.create(shelf, "web.qcow2", 8 << 20)
        entry = shelf.table().find("web.qcow2")
        unit = next(one for one in shelf.disks if one.lun == entry.lun)
        for place in range(1 << 20, unit.size, 5 << 20):
            scsi.write(shelf.session, unit, place, b"nobody may read this".ljust(4096))
        file = target.path(unit.lun)
        assert b"nobody may read this" in file.read_bytes()

        def end(share: float) -> None:
            if share > 0.3:
                raise InterruptedError

        with pytest.raises(InterruptedError):
            store.wipe(shelf, "web.qcow2", end)
        assert store.listed(shelf, "san") == ()
    shares: list[float] = []
    with store.opened(spec) as shelf:
        store.wipe(shelf, "web.qcow2", shares.append)
        assert not any(file.read_bytes()) and shares[-1] == 1.0
        store.delete(shelf, "web.qcow2")
        assert shelf.table().find("web.qcow2") is None
        store.wipe(shelf, "web.qcow2", shares.append)
