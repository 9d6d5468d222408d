"""What Debian's own cloud-init makes of Berth's words, read back from a real guest through its agent."""

import shutil
import socket
import subprocess
import time

import pytest

from broker.virt import hosts
from broker.virt.actions.create_template import create_template
from broker.virt.actions.delete_vm import delete_vm
from broker.virt.actions.import_template_version import import_template_version
from broker.virt.actions.power_off_vm import power_off_vm
from broker.virt.actions.run_once import run_once
from broker.virt.driver import DriverError
from broker.virt.models import TemplateVersion
from tests.virt.actions.stage import SYSTEM, done, fresh
from tests.virt.plans.test_lab import Real

pytestmark = pytest.mark.lab

KEYS = [
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKtq2n3nJ0pXv5rJ4VZ8kA3sJ0yqk0c1m2n3o4p5q6r7 alice@home",
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILtq2n3nJ0pXv5rJ4VZ8kA3sJ0yqk0c1m2n3o4p5q6r8 alice@work",
]
SCRIPT = '#!/bin/sh\necho "$(id -un) on $(hostname -f) has $(tree --version | cut -c -6)" >>/root/told\n'
FIRST = {
    "hostname": "web.example.org", "user": "alice", "password": "correct horse", "ssh_keys": KEYS[:1],
    "packages": ["tree"], "script": SCRIPT,
    "users": [
        {
            "name": "bob", "full_name": "Bob Ö. Builder", "groups": ["staff", "builders"], "ssh_keys": KEYS[1:],
            "password": "third horse",
        },
        {"name": "carol", "sudo": True, "groups": ["builders"]},
    ],
    "address": "192.168.77.50/24", "gateway": "192.168.77.1", "nameservers": ["192.168.77.1"],
}  # fmt: skip
AGAIN = FIRST | {
    "packages": [], "hostname": "db.example.org", "password": "other horse", "ssh_keys": KEYS[1:],
    "address": "192.168.77.51/24", "script": "#!/bin/sh\necho again >>/root/told\n",
}  # fmt: skip


@pytest.fixture
def real(db, settings, connection, lab_host, lab_base, server_image):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    real = Real(lab_host.uri, lab_base, settings)
    source = lab_base / "data" / "import" / "server.qcow2"
    shutil.copyfile(server_image, source)
    template = create_template(actor=SYSTEM, cluster=real.world.cluster, name="server")
    job = import_template_version(
        actor=SYSTEM, template=template, storage=real.storage, source=source.name, vcpus=2, memory_mib=512
    )
    real.version = TemplateVersion.objects.get(pk=done(job).subject_id)
    source.unlink()
    yield real
    real.line.remove_network(real.network.host_name)
    hosts.forget(real.world.host)


@pytest.mark.timeout(900)
def test_a_debian_server_is_what_cloud_init_was_told_and_what_it_is_told_anew(real):
    vm = real.make("web", cloud_init=FIRST, start=True)
    guest = Guest(real.line, str(vm.pk))
    guest.wait_for_cloud_init(instance=str(vm.pk))
    assert guest.says("hostname -f") == "web.example.org" and guest.says("hostname") == "web"
    assert guest.says("getent passwd alice").split(":")[5:] == ["/home/alice", "/bin/bash"]
    assert guest.says("cat /home/alice/.ssh/authorized_keys").splitlines() == KEYS[:1]
    assert guest.says("stat -c '%U %a' /home/alice/.ssh/authorized_keys") == "alice 600"
    assert guest.says("su alice -c 'sudo -n id -un'") == "root"
    first = guest.says("getent shadow alice").split(":")[1]
    assert verifies("correct horse", first) and not verifies("other horse", first)
    further_users_are_there(guest)
    assert addresses(guest) == ["192.168.77.50/24"]
    assert guest.says("ip -o route show default").startswith("default via 192.168.77.1 ")
    assert guest.says("dpkg-query --show --showformat '${db:Status-Status}' tree") == "installed"
    assert guest.says("cat /root/told") == "root on web.example.org has tree v"
    assert "- 192.168.77.1\n" in guest.says("cat /etc/netplan/50-cloud-init.yaml")
    assert greeting("192.168.77.50", 22).startswith(b"SSH-2.0")

    guest.says("sync")  # the power goes without a word
    done(power_off_vm(actor=SYSTEM, vm=fresh(vm)))
    done(run_once(actor=SYSTEM, vm=fresh(vm), cloud_init=AGAIN))
    guest.wait_for_cloud_init(instance=f"{vm.pk}-")
    assert guest.says("hostname -f") == "db.example.org"
    assert set(guest.says("cat /home/alice/.ssh/authorized_keys").splitlines()) == set(KEYS), "keys add up"
    again = guest.says("getent shadow alice").split(":")[1]
    assert verifies("other horse", again) and not verifies("correct horse", again)
    assert addresses(guest) == ["192.168.77.51/24"]
    assert guest.says("cat /root/told").splitlines() == ["root on web.example.org has tree v", "again"]
    done(delete_vm(actor=SYSTEM, vm=fresh(vm)))
    assert not [name for name in real.files() if str(vm.pk) in name]


def further_users_are_there(guest: "Guest") -> None:
    """Each has what was said of it and nothing of the others: name, groups, keys, password, sudo."""
    bob = guest.says("getent passwd bob").split(":")
    assert bob[4:] == ["Bob Ö. Builder", "/home/bob", "/bin/bash"]
    assert guest.says("id -nG bob").split() == ["bob", "staff", "builders"]
    assert guest.says("cat /home/bob/.ssh/authorized_keys").splitlines() == KEYS[1:]
    assert verifies("third horse", guest.says("getent shadow bob").split(":")[1])
    assert guest.says("su bob -c 'sudo -n id -un' 2>/dev/null || echo no") == "no"
    assert guest.says("id -nG carol").split() == ["carol", "builders"]
    assert guest.says("getent shadow carol").split(":")[1].startswith("!"), "nobody signs in with a password"
    assert guest.says("su carol -c 'sudo -n id -un'") == "root"
    assert guest.says("cat /home/carol/.ssh/authorized_keys || true") == ""


class Guest:
    """One that is asked through its agent, which may be late: this start shares its processors with all else."""

    def __init__(self, line, uuid: str):
        self.line, self.uuid = line, uuid

    def wait_for_cloud_init(self, *, instance: str) -> None:
        """Until it has done, without an error, what the instance whose name begins so is told."""
        deadline = time.monotonic() + 420
        while not self._asked("cat /run/cloud-init/result.json || true", deadline).output.strip().startswith("{"):
            assert time.monotonic() < deadline, self.says("tail -n 60 /var/log/cloud-init-output.log")
            time.sleep(1)
        assert self.says("cat /var/lib/cloud/data/instance-id").startswith(instance)
        status = self.says("cloud-init status --long || cat /run/cloud-init/result.json /var/log/cloud-init-output.log")
        assert status.startswith("status: done") and "DataSourceNoCloud [seed=/dev/vdb]" in status, status

    def says(self, command: str) -> str:
        ended = self._asked(command, time.monotonic() + 120)
        assert ended.code == 0, f"{command}: {ended.output}"
        return ended.output.strip()

    def _asked(self, command: str, deadline: float):
        while True:
            try:
                begun = self.line.begin_in_guest(self.uuid, command)
                while (ended := self.line.ended_in_guest(self.uuid, begun)) is None:
                    assert time.monotonic() < deadline, command
                    time.sleep(0.1)
                return ended
            except DriverError:  # not there yet, or busy
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.5)


def addresses(guest: Guest) -> list[str]:
    lines = guest.says("ip -o -4 addr show scope global").splitlines()
    return [line.split()[3] for line in lines]


def greeting(address: str, port: int) -> bytes:
    """What the server there says first, from the host's side of the network."""
    deadline = time.monotonic() + 60
    while True:
        try:
            with socket.create_connection((address, port), timeout=30) as line:
                return line.recv(64)
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)


def verifies(password: str, hashed: str) -> bool:
    """Whether it is that one's hash, as /etc/shadow has it."""
    _, kind, salt, _ = hashed.split("$")
    made = subprocess.run(
        ["openssl", "passwd", f"-{kind}", "-salt", salt, "-stdin"], input=password.encode(), capture_output=True,
        check=True,
    )  # fmt: skip
    return made.stdout.decode().strip() == hashed
