"""A fence that lies is seen by the leases on LUNs; one that says the truth waits for no longer than is needed."""

from datetime import timedelta

import pytest

from broker.access.actor import Actor
from broker.jobs.enqueue import enqueue
from broker.virt.actions.create_fence_device import create_fence_device
from broker.virt.ha import fencing, moments, signs
from broker.virt.ha.lun_leases import Doubt, doubt
from broker.virt.models import HostHealth, HostSign, StorageDomain
from broker.virt.plans import host_fence
from tests.jobs_help import run_all

SYSTEM = Actor.system("test")


@pytest.fixture
def case(world):
    """`case(moved, looked)`: seconds after the cut at which the lease moved last, and was looked at last."""
    cut = moments.now()
    san = StorageDomain.objects.create(cluster=world.cluster, name="san", kind="iscsi", path="/berth-iscsi/x")
    health = HostHealth.objects.create(host=world.host)

    def say(moved: float, looked: float, *, by: str = "") -> None:
        at = cut + timedelta(seconds=looked)
        signs.looked(world.host, at, by=by or str(san.pk), looked_at=at, promise=40.0)
        sign = HostSign.objects.get(host=world.host, source="lease", by=by or str(san.pk))
        health.seen = {str(sign): [sign.at.isoformat(), (cut + timedelta(seconds=moved)).isoformat()]}
        health.save()

    say.cut = cut
    return say


@pytest.mark.parametrize(
    ("moved", "looked", "now", "expected"),
    [
        (-60, 1, 2, Doubt.NONE),  # silent for long, as a host that died is
        (-5, 1, 2, Doubt.WAIT),
        (12, 14, 15, Doubt.WAIT),  # of before, but heard late
        (12, 33, 34, Doubt.NONE),
        (21, 22, 23, Doubt.LIE),
        (-5, 1, 36, Doubt.NONE),  # nobody looks any more
    ],
)
def test_what_is_seen(world, case, moved, looked, now, expected):
    case(moved, looked)
    assert doubt(world.host, cut=case.cut, now=case.cut + timedelta(seconds=now)) is expected


def test_leases_on_files_say_nothing_of_it_and_none_at_all_neither(world, case):
    now = case.cut + timedelta(seconds=30)
    assert doubt(world.host, cut=case.cut, now=now) is Doubt.NONE
    case(29, 30, by=str(world.storage.pk))
    assert doubt(world.host, cut=case.cut, now=now) is Doubt.NONE


@pytest.mark.parametrize(("found", "lost"), [(Doubt.NONE, True), (Doubt.LIE, False)])
def test_nothing_is_counted_as_off_on_the_word_of_a_liar(world, case, monkeypatch, found, lost):
    device = {"agent": "fence_ipmilan", "address": "192.0.2.9", "username": "admin", "password": "x"}
    create_fence_device(actor=SYSTEM, host=world.host, **device)
    monkeypatch.setattr(fencing, "is_off", lambda device: True)
    monkeypatch.setattr(fencing, "switch", lambda device, way: None)
    monkeypatch.setattr(host_fence, "doubt", lambda host, *, cut, now: found)
    job = enqueue("host.fence", actor=SYSTEM, subject=world.host, args={"manual": True})
    run_all()
    job.refresh_from_db()
    health = HostHealth.objects.get(host=world.host)
    assert (job.state == "succeeded", health.lost_at is not None) == (lost, lost)
    assert lost or (health.tried_at and "renewed" in job.cause)
