"""A lab host enrols with the command that Berth prints and speaks TLS with certificates of Berth, renewed live."""

import ssl
import subprocess
from datetime import timedelta
from functools import partial

import pytest
from pytest_django.live_server_helper import LiveServer

from broker.access.actor import Actor
from broker.core import clock
from broker.events.models import Event
from broker.virt import hosts
from broker.virt.actions.invite_host import invite_host
from broker.virt.driver import HostUnreachable
from broker.virt.drivers import load
from broker.virt.models import Cluster, Host, HostAgent, HostCertificate
from broker.virt.monitor.watch import connect
from broker.virt.pki import renewal
from broker.virt.pki.authority import issue
from broker.virt.pki.warnings import warn
from portal.agents import package
from tests.lab.lab import Lab
from tests.virt.monitor.help import eventually

SHORT = timedelta(seconds=14)
pytestmark = [pytest.mark.lab, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def lab(lab_base):
    with Lab(lab_base / "enrol", 1) as lab:
        yield lab


@pytest.fixture
def manager(lab, transactional_db, settings, tmp_path):
    settings.DATA_DIR = tmp_path
    settings.ALLOWED_HOSTS = ["*"]
    server = LiveServer(f"{lab.subnet}.1:0")
    yield server.url
    server.stop()


def test_one_command_and_a_code_make_a_host_whose_certificate_may_end(lab, manager, tmp_path, monkeypatch):
    """Row F39: the first certificate is good for seconds; the agent, which needs none to report, gets the next."""
    monkeypatch.setattr(renewal, "issue", partial(issue, days=SHORT.total_seconds() / 86400))
    name, real = "lab-a", lab.hosts["lab-a"]
    inside = ["nsenter", "-t", str(real.init_pid), "-m", "-n", "-p", "-i", "-u", f"--wd={tmp_path}", "--"]
    subprocess.run([*inside, "mount", "-t", "tmpfs", "none", "/usr/local/lib"], check=True)  # nothing of it stays here
    invited = invite_host(
        actor=Actor.system("test"), cluster=Cluster.objects.create(name="c"), name=name, address=real.address
    )
    command = package.command(manager, str(invited.invitation.pk)).replace("sudo ", "")
    assert invited.code not in command
    config = tmp_path / "host" / "agent.json"
    done = subprocess.run(
        [*inside, "env", f"BERTH_AGENT_CONFIG={config}", "sh", "-c", command], input=invited.code + "\n",
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr

    host = Host.objects.get()
    line = hosts.connection(host)
    assert line.facts().hostname == name
    with pytest.raises(HostUnreachable):  # who is not of Berth's authority is not let in any more
        load("libvirt").connect(lab.tls_uri(name), timeout=10)
    eventually(lambda: HostCertificate.objects.get().until < clock.now() - timedelta(seconds=2), within=60, every=0.1)
    with pytest.raises(HostUnreachable, match="certificate"):
        connect(host)
    assert warn() == 1 and Event.objects.filter(kind="host.certificate-ends", severity="error").exists()

    # the agent reports, and renews the certificate while libvirtd and its connections go on
    monkeypatch.undo()
    before, daemon = HostCertificate.objects.get().certificate, real.daemon_pid
    log = (tmp_path / "log").open("wb")
    words = ["python3", "/usr/local/lib/berth/agent.pyz", str(config)]
    agent = subprocess.Popen([*inside, *words], stdout=log, stderr=log)
    try:
        eventually(lambda: HostAgent.objects.get().seen_at, within=30)
        eventually(lambda: Event.objects.filter(kind="host.certified").exists(), within=30)
        issued = HostCertificate.objects.get().certificate
        assert issued != before
        eventually(lambda: ssl.get_server_certificate((real.address, 16514)).split() == issued.split(), within=30)
        assert real.daemon_pid == daemon and line.alive() and line.facts().hostname == name
        hosts.forget(host)
        assert hosts.connection(host).facts().hostname == name
        checks = HostAgent.objects.get().told["checks"]
        assert {name: checks[name][0] for name in ("qemu", "libvirt", "tls")} == dict.fromkeys(
            ("qemu", "libvirt", "tls"), True
        )
        eventually(lambda: HostAgent.objects.get().told["checks"].get("time", [False])[0], within=30)
    finally:
        hosts.forget(host)
        agent.kill()
        log.close()
