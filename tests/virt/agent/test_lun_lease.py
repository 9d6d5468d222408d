"""Hosts' leases on a LUN of a real target (tgt)."""

import base64
import json
from pathlib import Path

import pytest

from broker.virt.agent import guests, lun_lease
from broker.virt.agent.config import Config
from broker.virt.agent.lease import Taken
from broker.virt.driver import Locked, StorageSpec
from broker.virt.iscsi import store
from broker.virt.iscsi import units as scsi
from broker.virt.iscsi.table import Entry
from tests.lab.target import Target

pytestmark = pytest.mark.lab
HOSTS = ("a" * 36, "b" * 36)


@pytest.fixture
def target(lab_base, tmp_path):
    with Target(tmp_path, "127.0.0.1", luns=(16, 64), user="berth", password="twelve-chars-x") as target:
        yield target


@pytest.fixture
def san(target) -> StorageSpec:
    return StorageSpec(
        name="berth-0a1b2c3d", kind="iscsi", path="/berth-iscsi/berth-0a1b2c3d", server=f"127.0.0.1:1,{target.portal}",
        export=target.name, user=target.user, password=target.password,
    )  # fmt: skip


@pytest.fixture
def config(tmp_path, san) -> Config:
    """Of a host that has libvirt's secret of the storage."""
    folder = tmp_path / "secrets"
    folder.mkdir()
    told = {"server": san.server, "export": san.export, "luns": [], "user": san.user}
    usage = f"<usage type='iscsi'><target>{san.name}</target></usage>"
    text = f"<secret><description>{json.dumps(told)}</description>{usage}</secret>"
    (folder / "one.xml").write_text(text)
    (folder / "one.base64").write_bytes(base64.b64encode(san.password.encode()))
    return Config(secrets=str(folder), stop_after=8.0)


def lease(config: Config, san: StorageSpec, host: str) -> lun_lease.LunLease:
    made = lun_lease.lease_of(Config(secrets=config.secrets, stop_after=config.stop_after, host=host), "1", san.path)
    assert isinstance(made, lun_lease.LunLease)
    return made


def test_hosts_renew_see_each_other_and_give_back(config, san, target):
    first, second = (lease(config, san, host) for host in HOSTS)
    with pytest.raises(OSError, match="no table of Berth's"):
        first.renew(8.0)
    assert not any(target.path(1).read_bytes())
    with store.opened(san) as shelf:
        store.claim(shelf)
        store.create(shelf, "web.qcow2", 8 << 20)
        store.write_note(shelf, san.name, 1, b"x" * 100_000)
        before = shelf.table(), store.read_notes(shelf)
        for one in (first, second):
            one.renew(8.0)
        seen = first.others()
        assert seen.keys() == {HOSTS[1]} and seen[HOSTS[1]].stop_after == 8.0
        second.renew(8.0)
        assert first.others()[HOSTS[1]].serial == seen[HOSTS[1]].serial + 1
        assert (shelf.table(), store.read_notes(shelf)) == before  # nothing else on the LUN was touched

    second._session._line.close()  # the line broke: it goes on over a new one
    second.renew(8.0)
    copy = lease(config, san, HOSTS[1])
    copy.renew(8.0)
    assert first.others()[HOSTS[1]].generation == 2
    with pytest.raises(Taken):
        second.renew(8.0)
    copy.give_back()
    assert first.others() == {}


def test_a_worker_that_keeps_the_table_loses_it_and_writes_nothing(config, san, target):
    mine = lease(config, san, HOSTS[0])
    with store.opened(san) as shelf:
        store.claim(shelf)
    mine.renew(8.0)
    with store.opened(san) as frozen:
        table = frozen.table()
        with pytest.raises(Locked), scsi.held(frozen.session, frozen.first):
            mine.renew(8.0)  # after two seconds the reservation is ended
            store.tables.save(frozen.session, frozen.first, table.put(Entry("late.qcow2", 2, 1 << 20)))
        assert frozen.table() == table
    other = lease(config, san, HOSTS[1])
    other.renew(8.0)
    assert other.others().keys() == {HOSTS[0]}


def test_no_lease_without_the_host_having_the_storage(config, san, tmp_path):
    with pytest.raises(OSError, match="was not given it"):
        lun_lease.find(str(tmp_path / "secrets"), "berth-ffffffff")
    (tmp_path / "secrets" / "two.xml").write_text(
        "<secret><description>{}</description><usage type='iscsi'><target>bad</target></usage></secret>"
    )
    with pytest.raises(OSError, match="does not tell"):
        lun_lease.find(str(tmp_path / "secrets"), "bad")
    assert "twelve" not in repr(lun_lease.find(config.secrets, san.name))


def test_a_guest_on_a_lun_is_found_by_its_storage(tmp_path, monkeypatch):
    monkeypatch.setattr(guests.Guest, "alive", True)
    (tmp_path / "web.xml").write_text(
        "<domstatus pid='77'><domain><name>web</name><uuid>u</uuid><metadata><b:m xmlns:b='urn:berth:machine:1'/>"
        "</metadata><devices><disk type='network'><source protocol='iscsi' name='iqn.x/2'><initiator>"
        "<iqn name='iqn.2026-01.io.berth:berth-0a1b2c3d:web.qcow2'/></initiator></source></disk></devices>"
        "</domain></domstatus>"
    )
    (guest,) = guests.running(str(tmp_path))
    assert guest.on(["/berth-iscsi/berth-0a1b2c3d"]) and not guest.on(["/berth-iscsi/berth-0a1b2c3e", "/srv"])
    assert Path(guest.files[0]).name == "web.qcow2"
