"""The agent against real faults: killed, frozen, without storage, without a manager, come back too late, copied.

All places are broken at the same time, so that the seconds until a lease is over are waited for once.
"""

import signal
import socket
import time

import pytest

from broker.virt.agent import lease
from tests.virt.agent.site import Manager, Place, wait_for


@pytest.fixture
def manager():
    manager = Manager()
    yield manager
    manager.close()


@pytest.fixture
def places(tmp_path, manager):
    made: list[Place] = []

    def make(name: str, *, port: int = 0, stop_after: float = 3.0, **storages) -> Place:
        paths = {}
        for storage in storages or {"a": None, "b": None}:
            paths[storage] = storages.get(storage) or tmp_path / name / storage
            paths[storage].mkdir(parents=True, exist_ok=True)
        place = Place(tmp_path / name / "host", manager.address, paths, port=port, stop_after=stop_after)
        made.append(place)
        return place

    yield make
    for place in made:
        place.close()


def lives(*guests) -> bool:
    return all(guest.poll() is None for guest in guests)


def test_whatever_breaks_a_guest_runs_only_while_its_lease_is_renewed(places, manager):
    # Those that are to go on have time for it on a busy machine; those whose leases are to run out do not take long.
    names = {"storage": 6.0, "late": 3.0, "stopped": 3.0, "manager": 10.0}
    names |= dict.fromkeys(("keeper", "guard", "frozen_keeper", "frozen_guard"), 10.0)
    all_of_them = {name: places(name, stop_after=seconds) for name, seconds in names.items()}
    guests = {name: place.guest("a") for name, place in all_of_them.items()}
    storage, late = all_of_them["storage"], all_of_them["late"]
    elsewhere, foreign = storage.guest("b"), storage.guest("a", ours=False)
    for place in all_of_them.values():
        place.start()
    for place in all_of_them.values():
        assert place.renews("a") and place.renews("b")
    wait_for(lambda: all(manager.last(place.host) for place in all_of_them.values()))

    held = storage.record("a")
    storage.lose("a")
    lost_at = time.monotonic()
    all_of_them["keeper"].signal(signal.SIGKILL, all_of_them["keeper"].both()[1])
    all_of_them["guard"].signal(signal.SIGKILL, all_of_them["guard"].both()[0])
    all_of_them["frozen_keeper"].signal(signal.SIGSTOP, all_of_them["frozen_keeper"].both()[1])
    all_of_them["frozen_guard"].signal(signal.SIGSTOP, all_of_them["frozen_guard"].both()[0])
    late.signal(signal.SIGKILL, *late.both())
    gone_at = late.record("a")
    stopped = all_of_them["stopped"]
    stopped.signal(signal.SIGTERM, stopped.both()[0])
    manager.lies = True

    # the storage is gone: its guests are stopped, those on other storage and those that are not ours are not
    guests["storage"].wait(30)
    assert time.monotonic() - lost_at > 1.5, "it was stopped before its lease was over"
    assert lives(elsewhere, foreign)
    # the others were replaced by the process that was left, in time for their guests
    for name in ("keeper", "guard", "frozen_keeper", "frozen_guard", "manager"):
        assert all_of_them[name].renews("a") and lives(guests[name]), name
        assert wait_for(all_of_them[name].both)
    # an agent that comes back when its leases are over renews none before its guests are gone
    assert lives(guests["late"]) and late.record("a") == gone_at
    late.start()
    guests["late"].wait(30)
    assert late.renews("a") and late.record("a").generation > gone_at.generation
    # one that was stopped on purpose gave its leases back, so its guest may go on, however long that takes
    assert stopped.record("a") is None and not stopped.agents()
    stopped.start()
    assert stopped.renews("a") and stopped.renews("a") and lives(guests["stopped"])
    # what was lost is held again when it is back, in a new generation, and guests may run there
    storage.regain("a")
    wait_for(lambda: "renewed again" in storage.told())
    assert storage.record("a").generation > held.generation
    again = storage.guest("a")
    assert storage.renews("a") and lives(again, elsewhere)


def test_a_copied_host_loses_its_lease_and_reports_what_it_sees(places, manager, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {"a": tmp_path / "shared"}
    one, other = places("one", port=port, **shared), places("other", port=port, **shared)
    guest = one.guest("a")
    one.start()
    assert one.renews("a")
    manager.orders = {"peers": {one.host: "127.0.0.1"}}
    other.start()
    # the other looks at the lease of the first, sees it move, and greets the first at its door
    first = wait_for(lambda: (manager.last(other.host) or {}).get("leases", {}).get("a", {}).get(one.host))
    wait_for(lambda: manager.last(other.host)["leases"]["a"][one.host][0] > first[0])
    wait_for(lambda: manager.last(other.host)["peers"] == [one.host])
    # a copy of the first host takes its lease: the first sees another's hand on it and stops its guests
    copy = places("copy", port=0, **shared)
    copy.path.write_text(copy.path.read_text().replace(copy.host, one.host))
    copy.start()
    guest.wait(30)


def test_a_guest_that_does_not_die_leaves_the_watchdog_unfed(places, monkeypatch):
    from broker.virt.agent import guard, guests

    place = places("stuck")
    guest = place.guest("a")
    monkeypatch.setattr(guests, "kill", lambda guest: None)
    watch = guard.Guard(place.path, lambda path: (0, guard.Line(socket.socketpair()[0])))
    at = guard.now()
    watch.look(at)
    watch._feed()
    fed = (place.base / "watchdog").stat().st_size
    assert fed > 0
    watch.look(at + 4)
    watch._stuck_since -= guard.STUCK_SECONDS + 5
    watch._feed()
    assert (place.base / "watchdog").stat().st_size == fed
    watch.renewed("a", at + 5)
    assert watch.late == {"a", "b"}, "renewed while its guests were still there"
    guest.kill()
    guest.wait()
    watch.look(at + 6)
    watch.renewed("a", at + 5)
    assert watch.late == {"a", "b"}, "renewed by what was begun before they were gone"
    watch.renewed("a", at + 7)
    assert watch.late == {"b"}
    watch._feed()
    assert (place.base / "watchdog").stat().st_size > fed


def test_a_mount_is_known_without_asking_what_is_mounted(tmp_path):
    assert lease.mounted("/proc") and lease.mounted("/proc/")
    assert not lease.mounted(str(tmp_path)) and not lease.mounted(str(tmp_path / "none"))
    assert lease._plain(r"/mnt/two\040words") == "/mnt/two words"
