"""Hosts over SSH: the key each is known by, the files OpenSSH reads, and what is said when it goes wrong."""

import subprocess
from urllib.parse import parse_qsl, urlsplit

import pytest

from broker.core.errors import Invalid, Unavailable
from broker.events.models import Event
from broker.virt import names
from broker.virt.actions.create_host import create_host
from broker.virt.actions.edit_host import edit_host
from broker.virt.driver import HostUnreachable
from broker.virt.drivers.libvirt.ssh import unreachable
from broker.virt.models import Cluster, SshKey
from broker.virt.pki.line import uri_of
from broker.virt.ssh import host_key
from broker.virt.ssh.key import private_key, public_key
from tests.virt.actions.stage import SYSTEM

ED = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB9dG4kjRhQTtWTVzd2t27+t0DEHBPW7iOD23TUiYLio"
PRINT = "SHA256:XVJuSOQQqQeVNCNVDFFVENrkBB6W5pNrGzNaGNlqcM0"


def made(kind: str, folder) -> str:
    """A public key, as ssh-keygen writes it."""
    path = folder / kind
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", "root@host", "-f", str(path)], check=True)
    return path.with_name(f"{kind}.pub").read_text()


@pytest.fixture
def host(db, settings, tmp_path):
    settings.DATA_DIR = tmp_path / "it's here"
    cluster = Cluster.objects.create(name="c")
    return create_host(actor=SYSTEM, cluster=cluster, name="far", uri="qemu+ssh://root@far.example:2222/system")


def showing(monkeypatch, *keys):
    asked = []

    def shown(address, port):
        asked.append((address, port))
        return list(keys)

    monkeypatch.setattr(host_key, "shown_by", shown)
    return asked


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_a_key_is_taken_as_people_have_it(kind, tmp_path):
    line = made(kind, tmp_path)
    words = line.split()
    said = subprocess.run(
        ["ssh-keygen", "-lf", str(tmp_path / f"{kind}.pub")], capture_output=True, text=True, check=True
    )
    key = host_key.normal(line)
    assert key == " ".join(words[:2]) == host_key.normal(f"far.example {line}")
    assert host_key.normal(said.stdout) == host_key.fingerprint(key) == said.stdout.split()[1]
    assert host_key.normal(" \n") == ""


@pytest.mark.parametrize(
    "value",
    ["x", "ssh-ed25519 AAAA", "ssh-dss AAAAB3NzaC1kc3M=", "SHA256:short", "MD5:aa:bb", ED[:-6] + "\u00e9",
     "a" * 5000, ED.replace("ed25519 ", "rsa ")],
)  # fmt: skip
def test_what_is_no_key_is_refused(value):
    with pytest.raises(Invalid) as refused:
        host_key.normal(value)
    assert refused.value.field == "host_key"


@pytest.mark.parametrize(
    "uri",
    ["qemu+ssh://-oProxyCommand=x/system", "qemu+ssh://-l@h/system", "qemu+ssh:///system", "qemu+ssh://h:0/system",
     "qemu+ssh://h:x/system", "qemu+ssh://a%20b@h/system", "qemu+ssh://h/system?no_verify=1"],
)  # fmt: skip
def test_no_address_is_an_option_of_a_command(uri):
    with pytest.raises(Invalid):
        names.host_uri(uri)


def test_the_first_key_it_shows_counts_and_only_the_expected_where_one_is(host, monkeypatch, tmp_path):
    rsa = host_key.normal(made("rsa", tmp_path))
    asked = showing(monkeypatch, ED, rsa)
    uri_of(host)
    host.refresh_from_db()
    assert host.host_key == ED and asked == [("far.example", 2222)]
    told = Event.objects.get(kind="host.key")
    assert told.params["fingerprint"] == host_key.fingerprint(ED)
    uri_of(host)
    assert len(asked) == 1, "it is known now"

    edit_host(actor=SYSTEM, host=host, host_key=host_key.fingerprint(rsa))
    host.refresh_from_db()
    uri_of(host)
    assert host.host_key == rsa and Event.objects.filter(kind="host.key").count() == 2
    edit_host(actor=SYSTEM, host=host, host_key=PRINT)
    with pytest.raises(HostUnreachable, match="another key"):
        uri_of(host)
    host.refresh_from_db()
    assert host.host_key == PRINT
    edit_host(actor=SYSTEM, host=host, host_key="")
    showing(monkeypatch)
    with pytest.raises(HostUnreachable, match="no SSH key"):
        uri_of(host)


def test_openssh_reads_no_more_than_what_was_written_for_this_host(host, monkeypatch, settings):
    """Of the command that libvirt is given, ssh itself tells what it would do."""
    showing(monkeypatch, ED)
    uri = uri_of(host)
    folder = settings.DATA_DIR / "ssh"
    command = folder / f"{host.pk}.sh"
    assert uri.startswith("qemu+ssh://root@far.example:2222/system?")
    assert dict(parse_qsl(urlsplit(uri).query))["command"] == str(command)
    assert "no_tty=1" in uri
    told = subprocess.run(
        [str(command), "-G", "far.example"], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    for line in (
        "batchmode yes", "passwordauthentication no", "stricthostkeychecking true", f"hostkeyalias {host.pk}",
        "identitiesonly yes", "hostkeyalgorithms ssh-ed25519", "forwardagent no", "controlmaster false",
    ):  # fmt: skip
        assert line in told, (line, told)
    assert f"identityfile {folder}/key" in told and f"userknownhostsfile {folder}/{host.pk}.known" in told
    assert (folder / f"{host.pk}.known").read_text() == f"{host.pk} {ED}\n"
    for path, mode in ((folder, 0o700), (folder / "key", 0o600), (command, 0o700)):
        assert path.stat().st_mode & 0o777 == mode
    shown = subprocess.run(["ssh-keygen", "-yf", str(folder / "key")], capture_output=True, text=True, check=True)
    assert shown.stdout.split()[:2] == public_key().split()[:2]
    before = (folder / "key").stat().st_mtime_ns
    uri_of(host)
    assert (folder / "key").stat().st_mtime_ns == before


def test_the_key_is_one_and_sealed(db, settings):
    assert public_key() == public_key() and public_key().startswith("ssh-ed25519 ")
    assert "PRIVATE" in private_key() and "PRIVATE" not in SshKey.objects.get().secret
    settings.SECRET_KEY = "another one of sufficient length for anybody"
    with pytest.raises(Unavailable):
        private_key()


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("Cannot recv data: Host key verification failed.: Connection reset by peer", "another SSH key"),
        ("Cannot recv data: root@h: Permission denied (publickey,password).: Connection reset by peer", "sign in"),
        ("Failed to connect socket to '/var/run/libvirt/libvirt-sock': Permission denied", "may not use libvirt"),
        ("Failed to connect socket to '/var/run/libvirt/libvirt-sock': No such file or directory", "no libvirtd"),
        ("sh: 1: nc: not found", "no libvirtd answers"),
    ],
)  # fmt: skip
def test_what_ssh_printed_comes_out_in_words_that_help(said, message):
    error = unreachable(said)
    assert error is not None and message in str(error) and error.fix and error.params["reason"] == said


def test_what_it_printed_that_nobody_knows_is_passed_on():
    assert unreachable("Network is unreachable") is None
