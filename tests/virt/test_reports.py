"""Reports of agents: proved by their code, taken once, heard about their own cluster only; and what they prove."""

import json
from datetime import timedelta

import pytest
from django.test import Client

from broker.core import clock
from broker.core.errors import Denied
from broker.events.models import Event
from broker.virt import reports
from broker.virt.agent import wire
from broker.virt.agent.checks import look
from broker.virt.ha import evidence, moments
from broker.virt.host_checks import CHECKS, findings
from broker.virt.models import Cluster, HaWatch, Host, HostAgent, HostSign, StorageDomain

SECRET = "k" * 43


class Site:
    """Two hosts with agents and a shared storage; a third in another cluster. `at` moves the clock."""

    def __init__(self) -> None:
        self.now, self.count = moments.now(), 0
        self.cluster = Cluster.objects.create(name="c")
        self.storage = StorageDomain.objects.create(cluster=self.cluster, name="s", path="/srv/s")
        StorageDomain.objects.create(cluster=self.cluster, name="n", path="/srv/n", kind="nfs")
        self.one, self.two = (self.host(name, self.cluster) for name in ("one", "two"))
        self.far = self.host("far", Cluster.objects.create(name="d"))

    def host(self, name: str, cluster: Cluster) -> Host:
        host = Host.objects.create(cluster=cluster, name=name, observed_at=self.now, hostname=f"{name}.example")
        HostAgent.objects.create(host=host, secret=reports.sealed(SECRET))
        return host

    def body(self, host: Host, **said) -> bytes:
        self.count += 1000
        return wire.packed({"host": str(host.pk), "count": self.count, **said})

    def take(self, host: Host, **said) -> dict:
        body = self.body(host, **said)
        answer, code = reports.take(body, wire.code(SECRET, "report", body))
        assert wire.fits(SECRET, "report answer", answer, code)
        return json.loads(answer)

    def saw(self, serial: int, *, age: float = 0.0) -> dict:
        """Host two looked at the lease of host one."""
        seen = {str(self.storage.pk): {str(self.one.pk): [serial, 40.0]}}
        return self.take(self.two, leases=seen, looked={str(self.storage.pk): age})


@pytest.fixture
def site(db):
    yield Site()
    clock.restore()


def test_an_agent_is_told_what_to_do(site):
    told = site.take(site.one)
    assert told["leases"] == {str(one.pk): one.path for one in StorageDomain.objects.all()}
    assert told["mounts"] == [str(StorageDomain.objects.get(name="n").pk)]
    assert told["peers"] == {str(site.two.pk): "two.example"}
    assert (told["stop_after"], told["count"]) == (40, site.count)
    assert HostSign.objects.get(host=site.one).source == "agent"


def test_a_report_proves_whose_it_is_and_counts_once(site):
    body = site.body(site.one)
    for code in ("", "0" * 64, wire.code("other", "report", body), wire.code(SECRET, "report answer", body)):
        with pytest.raises(Denied):
            reports.take(body, code)
    good = wire.code(SECRET, "report", body)
    reports.take(body, good)
    with pytest.raises(Denied) as caught:
        reports.take(body, good)
    assert caught.value.rule == "agent.count"


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b'{"host": 7}', b'{"host": null, "count": true}', b"\xff", b'"x"', b"9" * 5000]
)
def test_nonsense_is_refused_at_the_door(site, body):
    response = Client().post("/agent/report", body, content_type="application/json")
    assert response.status_code in (400, 403) and response.json()["message"]
    assert Client().get("/agent/report").status_code == 405
    long = Client().post("/agent/report", b"x" * (wire.MOST + 1), content_type="application/json")
    assert long.status_code == 400


@pytest.mark.parametrize(
    "said",
    [
        {"count": -1}, {"count": True}, {"count": 2**70}, {"leases": 7}, {"leases": {"x": {"y": 1}}},
        {"peers": {"a": 1}},
        {"peers": [7, None]}, {"looked": {"x": "y"}}, {"own": [1]},
        {"checks": [["qemu", 1, 2], [[], True, ""], 7]}, {"late": 3}, {"guests": "many"},
    ],
)  # fmt: skip
def test_a_known_agent_may_say_nonsense_too(site, said):
    body = site.body(site.one, **said)
    response = Client().post(
        "/agent/report", body, content_type="application/json",
        headers={wire.HEADER: wire.code(SECRET, "report", body)},
    )  # fmt: skip
    assert response.status_code == (400 if "count" in said else 200)


@pytest.mark.parametrize("value", [[10**18, 1.0], [-1, 1.0], ["1", 1.0], [True, 1.0], [1], None])
def test_a_lease_that_cannot_be_is_passed_over(site, value):
    site.take(site.two, leases={str(site.storage.pk): {str(site.one.pk): value}}, looked={str(site.storage.pk): 0.1})
    assert not HostSign.objects.filter(source="lease").exists()


def test_of_other_clusters_and_of_its_own_lease_it_is_not_heard(site):
    seen = {str(site.storage.pk): {str(site.far.pk): [1, 40.0], str(site.two.pk): [1, 40.0]}}
    site.take(site.two, leases=seen, looked={str(site.storage.pk): 0.0}, peers=[str(site.far.pk), str(site.two.pk)])
    assert {sign.source for sign in HostSign.objects.all()} == {"agent"}
    site.take(site.two, peers=[str(site.one.pk)])
    assert HostSign.objects.get(source="peer").by == "two"


def case(site):
    """What the judge would be shown of host one."""
    seen = evidence.look(moments.now())
    for one in seen.situations:
        one.health.save()
    HaWatch.objects.update(looked_at=seen.now)
    return next(one for one in seen.situations if one.host == site.one).case.of("lease")


def test_a_lease_is_over_only_as_far_as_somebody_looked(site):
    def at(seconds: float) -> None:
        clock.use(wall=lambda: site.now + timedelta(seconds=seconds), steady_clock=lambda: seconds)

    at(0)
    site.saw(1)
    (lease,) = case(site)
    assert lease.fresh(90) and not lease.over(90)
    for moment in range(30, 121, 30):  # nobody looks: it is not fresh any more, and not over either
        at(moment)
        (lease,) = case(site)
    assert not lease.fresh(90) and not lease.over(90) and lease.still == 0
    at(130)
    site.saw(1, age=45.0)  # looked at 45 s ago: unmoved for 85 s
    assert not case(site)[0].over(90)
    at(140)
    site.saw(1)
    assert case(site)[0].over(90) and not case(site)[0].over(150)
    site.saw(2)
    assert case(site)[0].fresh(90)


def test_a_longer_promise_makes_everybody_wait_longer(site):
    seen = {str(site.storage.pk): {str(site.one.pk): [1, 300.0]}}
    site.take(site.two, leases=seen, looked={str(site.storage.pk): 0.0})
    case(site)
    health = site.one.health
    health.refresh_from_db()
    health.seen = {
        key: [value, (site.now - timedelta(seconds=400)).isoformat()] for key, (value, _) in health.seen.items()
    }
    health.save()
    (lease,) = case(site)
    assert lease.fresh(90) and not lease.over(90)


def test_a_storage_that_is_no_longer_used_leaves_no_lease_to_run_out(site):
    site.saw(1)
    StorageDomain.objects.filter(pk=site.storage.pk).update(state="maintenance")
    site.take(site.two)
    assert not HostSign.objects.filter(source="lease").exists()


def test_of_checks_what_is_known_is_kept(site):
    site.take(site.one, checks=[["qemu", False, "5" * 100], ["nonsense", True, ""], ["tpm", True, ""]])
    told = HostAgent.objects.get(host=site.one).told
    assert told["checks"] == {"qemu": [False, "5" * 64], "tpm": [True, ""]}
    found = findings(told)
    assert [(one.check, one.well) for one in found] == [(CHECKS["qemu"], False), (CHECKS["tpm"], True)]
    assert {name for name, _, _ in look(skew=1.0, watchdog="")} == set(CHECKS)


def test_a_lost_lease_is_told_once(site):
    for late in ([], ["x"], ["x"], []):
        site.take(site.one, late=late)
    kinds = list(Event.objects.filter(kind__startswith="host.lease").order_by("at").values_list("kind", flat=True))
    assert kinds == ["host.lease-lost", "host.lease-held"]
