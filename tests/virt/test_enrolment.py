"""Enrolment over simulated hosts: a code is good once, what is signed is what was invited, certificates renew."""

import hashlib
import json
import subprocess
from datetime import timedelta
from uuid import uuid4

import pytest
from cryptography import x509
from django.core.management import call_command
from django.test import Client

from broker.access.actor import Actor
from broker.core import clock
from broker.core.errors import Conflict, Denied, Invalid
from broker.events.models import Event
from broker.virt import reports
from broker.virt.actions.invite_host import invite_host
from broker.virt.agent import certificates, wire
from broker.virt.models import Authority, Cluster, Host, HostAgent, HostCertificate, HostInvitation
from broker.virt.pki import own
from broker.virt.pki.authority import authority, issue
from broker.virt.pki.enrolment import enrol
from broker.virt.pki.line import uri_of
from broker.virt.pki.warnings import warn

SYSTEM = Actor.system("test")


@pytest.fixture
def cluster(db):
    yield Cluster.objects.create(name="c")
    clock.restore()


@pytest.fixture(scope="module")
def request_of():
    """A key and a request, made once: openssl takes its time."""
    return certificates.request()


def later(days: float) -> None:
    at = clock.now() + timedelta(days=days)
    clock.use(wall=lambda: at, steady_clock=lambda: 0.0)


def ask(invited, csr: str, *, code: str = "", **said) -> dict:
    body = wire.packed({"count": 7, "invitation": str(invited.invitation.pk), "csr": csr, **said})
    answer, proof = enrol(body, wire.code(code or invited.code, "enrol", body))
    assert wire.fits(invited.code, "enrol answer", answer, proof)
    return json.loads(answer)


def test_a_machine_becomes_a_host(cluster, request_of, tmp_path):
    invited = invite_host(actor=SYSTEM, cluster=cluster, name="h-1", address="10.1.2.3")
    told = ask(invited, request_of[1])
    host = Host.objects.get()
    assert (host.name, host.uri, host.address, str(host.pk)) == (
        "h-1", "qemu+tls://10.1.2.3/system", "10.1.2.3", told["host"],
    )  # fmt: skip
    certificate = x509.load_pem_x509_certificate(told["certificate"].encode())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(one.value) for one in names] == ["h-1", "10.1.2.3"]
    assert "O=Berth host" in certificate.subject.rfc4514_string()
    # openssl, which is not ours, agrees; and the key that stayed on the host fits
    certificates.install(request_of[0], told["certificate"], told["authority"], root=tmp_path)
    folder = tmp_path / "etc/pki"
    verified = ["openssl", "verify", "-x509_strict", "-CAfile", folder / "CA/cacert.pem"]
    subprocess.run([*verified, folder / "libvirt/servercert.pem"], check=True, capture_output=True)
    assert (folder / "libvirt/private/serverkey.pem").stat().st_mode & 0o777 == 0o600
    # the agent's secret was never sent, and works
    secret = wire.derived(invited.code, told["host"])
    assert secret not in json.dumps(told) and invited.code not in json.dumps(told)
    body = wire.packed({"host": told["host"], "count": 1})
    reports.take(body, wire.code(secret, "report", body))
    assert invited.code not in str(HostInvitation.objects.values()) + str(HostAgent.objects.values())


def test_a_code_is_good_once_for_an_hour_and_for_its_invitation(cluster, request_of):
    invited = invite_host(actor=SYSTEM, cluster=cluster, name="h-1", address="h-1.example")
    other = invite_host(actor=SYSTEM, cluster=cluster, name="h-2", address="h-2.example")
    with pytest.raises(Denied):
        ask(invited, request_of[1], code=other.code)
    with pytest.raises(Invalid):
        ask(invited, "-----BEGIN nonsense")
    assert not Host.objects.exists() and not HostInvitation.objects.filter(used_at__isnull=False).exists()
    ask(invited, request_of[1])
    with pytest.raises(Denied):
        ask(invited, request_of[1])
    later(0.1)
    with pytest.raises(Denied):
        ask(other, request_of[1])
    assert Host.objects.count() == 1


def test_names_of_others_are_not_certified(cluster, request_of):
    ask(invite_host(actor=SYSTEM, cluster=cluster, name="h-1", address="10.0.0.1"), request_of[1])
    for name, address in (
        ("h-2", "10.0.0.1"),
        ("h 2", "10.0.0.2"),
        ("h-2", "-x"),
        ("h-2", "a b"),
        ("h-2", "*.example"),
    ):
        with pytest.raises((Conflict, Invalid)):
            invite_host(actor=SYSTEM, cluster=cluster, name=name, address=address)
    with pytest.raises(Conflict):
        invite_host(actor=SYSTEM, cluster=Cluster.objects.create(name="d"), name="h-1", address="10.0.0.9")
    with pytest.raises(Conflict) as caught:  # in service it is not moved to another address
        invite_host(actor=SYSTEM, cluster=cluster, name="h-1", address="10.0.0.9")
    assert caught.value.rule == "host.in-use"
    host = Host.objects.get()
    ask(invite_host(actor=SYSTEM, cluster=cluster, name="h-1", address="10.0.0.1"), request_of[1])
    assert Host.objects.get() == host and HostAgent.objects.count() == 1


def test_a_weak_key_is_not_signed(cluster, tmp_path):
    config, key = tmp_path / "config", tmp_path / "key"
    config.write_text(certificates.CONFIG)
    made = subprocess.run(
        ["openssl", "req", "-new", "-newkey", "rsa:1024", "-nodes", "-config", config, "-keyout", key],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    with pytest.raises(Invalid):
        issue(made.stdout, name="x")


def test_certificates_renew_by_the_reports(cluster, request_of):
    invited = invite_host(actor=SYSTEM, cluster=cluster, name="h-1", address="10.0.0.1")
    told = ask(invited, request_of[1])
    secret, count = wire.derived(invited.code, told["host"]), iter(range(1, 100))

    def report(**said) -> dict:
        body = wire.packed({"host": told["host"], "count": next(count), **said})
        return json.loads(reports.take(body, wire.code(secret, "report", body))[0])

    assert "renew" not in report() and "certificate" not in report(csr=request_of[1])
    later(130)
    assert report()["renew"] is True
    answer = report(csr=request_of[1])
    assert answer["certificate"] != told["certificate"] and answer["authority"] == told["authority"]
    assert "renew" not in report()
    later(400)  # long expired: the agent's own secret still works, and it is renewed
    assert report()["renew"] is True and report(csr=request_of[1])["certificate"]


def test_the_end_is_told_thirty_seven_and_one_days_before(cluster, request_of):
    """Fault F39 of docs/faults.md."""
    ask(invite_host(actor=SYSTEM, cluster=cluster, name="h-1", address="10.0.0.1"), request_of[1])
    began, seen = clock.now(), []
    for days in (100, 149, 151, 152, 172, 174, 178, 179.5, 181, 200):
        clock.use(wall=lambda days=days: began + timedelta(days=days), steady_clock=lambda: 0.0)
        seen.append(warn())
    assert seen == [0, 0, 1, 0, 0, 1, 0, 1, 1, 0]
    severities = Event.objects.filter(kind="host.certificate-ends").order_by("id").values_list("severity", flat=True)
    assert list(severities) == ["warning", "warning", "error", "error"]


def test_berths_own_certificate_is_for_enrolled_hosts_and_renews(cluster, request_of, settings, tmp_path):
    settings.DATA_DIR = tmp_path
    plain = Host.objects.create(cluster=cluster, name="plain", uri="qemu+tls://plain/system")
    assert uri_of(plain) == plain.uri
    ask(invite_host(actor=SYSTEM, cluster=cluster, name="h-1", address="10.0.0.1"), request_of[1])
    host = Host.objects.get(name="h-1")
    assert uri_of(host) == f"qemu+tls://10.0.0.1/system?pkipath={tmp_path}/pki"
    first = (tmp_path / "pki/clientcert.pem").read_text()
    own.ensure()
    assert (tmp_path / "pki/clientcert.pem").read_text() == first
    assert (tmp_path / "pki/clientkey.pem").stat().st_mode & 0o777 == 0o600
    later(130)
    own.ensure()
    assert (tmp_path / "pki/clientcert.pem").read_text() != first


def test_there_is_one_authority_and_its_key_is_sealed(cluster):
    assert authority() == authority() and Authority.objects.count() == 1
    assert "PRIVATE" not in Authority.objects.get().secret
    call_command("check")


def test_the_door(cluster, request_of):
    client = Client()
    script = client.get("/agent/enrol.sh").content
    subprocess.run(["sh", "-n"], input=script, check=True)
    assert b"http://testserver" in script and b"@" not in script.replace(b"$@", b"")
    program = client.get("/agent/agent.pyz").content
    assert hashlib.sha256(program).hexdigest().encode() in script
    for body in (b"", b"[]", b"{}", json.dumps({"invitation": str(uuid4())}).encode(), b"\xff"):
        answer = client.post("/agent/enrol", body, content_type="application/json", headers={"Berth-Code": "é"})
        assert answer.status_code in (400, 403) and answer.json()["fix"]
    assert not HostCertificate.objects.exists()
