"""Parts of the libvirt driver that need no host: errors, the KVM probe, networks, names, the agent's answers."""

import os
import socket
import stat
import subprocess
import time

import libvirt
import pytest
from lxml import etree

from broker.core.errors import Invalid
from broker.virt.driver import (
    DriverError,
    GuestInfo,
    HostUnreachable,
    Locked,
    NetworkSpec,
    NoSpace,
    NotFound,
    Refused,
    Unsupported,
    VolumeInfo,
)
from broker.virt.drivers import load, names
from broker.virt.drivers.libvirt import agent, connection, disks, errors, kvm, networks


def libvirt_error(code: int, text: str) -> libvirt.libvirtError:
    error = libvirt.libvirtError("call() failed")
    error.err = (code, libvirt.VIR_FROM_QEMU, text, libvirt.VIR_ERR_ERROR, text, None, None, 0, 0)
    return error


@pytest.mark.parametrize(
    ("code", "text", "family", "retry"),
    [
        (libvirt.VIR_ERR_NO_DOMAIN, "Domain not found", NotFound, False),
        (libvirt.VIR_ERR_NO_STORAGE_VOL, "no storage vol", NotFound, False),
        (libvirt.VIR_ERR_OPERATION_INVALID, "domain is not running", Refused, False),
        (libvirt.VIR_ERR_OPERATION_UNSUPPORTED, "not supported", Unsupported, False),
        (libvirt.VIR_ERR_CONFIG_UNSUPPORTED, "revert to external snapshot", Unsupported, False),
        (libvirt.VIR_ERR_OPERATION_TIMEOUT, "cannot acquire state change lock", Locked, True),
        (libvirt.VIR_ERR_RESOURCE_BUSY, "lease is held", Locked, True),
        (libvirt.VIR_ERR_INTERNAL_ERROR, 'process exited: Failed to get "write" lock', Locked, True),
        (libvirt.VIR_ERR_OPERATION_INVALID, "volume 'x' is still being allocated.", Locked, True),
        (libvirt.VIR_ERR_SYSTEM_ERROR, "cannot extend file: No space left on device", NoSpace, False),
        (libvirt.VIR_ERR_XML_ERROR, "missing name", Refused, False),
        (libvirt.VIR_ERR_INTERNAL_ERROR, "something else", DriverError, False),
    ],
)
def test_errors_by_family(code, text, family, retry):
    told = errors.translate(libvirt_error(code, text))
    assert type(told) is family
    assert told.retry is retry
    assert text in told.message
    assert told.params["libvirt_code"] == code


def test_anything_is_unreachable_once_the_connection_is_gone():
    told = errors.translate(libvirt_error(libvirt.VIR_ERR_INTERNAL_ERROR, "client socket is closed"), alive=False)
    assert type(told) is HostUnreachable
    assert told.retry and told.fix


@pytest.mark.parametrize("uri", ["xen:///", "http://host/", "", "qemu", "test:///default", "sim://x"])
def test_uris_of_other_kinds(uri):
    with pytest.raises(Invalid):
        load("libvirt").connect(uri)


def test_a_closed_port_is_told_at_once():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    started = time.monotonic()
    with pytest.raises(HostUnreachable):
        load("libvirt").connect(f"qemu+tcp://127.0.0.1:{port}/system")
    assert time.monotonic() - started < 2


def test_a_silent_host_takes_no_longer_than_allowed():
    """A port that accepts and never answers: libvirt itself would wait for ever."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        started = time.monotonic()
        with pytest.raises(HostUnreachable):
            load("libvirt").connect(f"qemu+tcp://127.0.0.1:{silent.getsockname()[1]}/system", timeout=0.5)
        assert 0.4 < time.monotonic() - started < 2


def test_no_libvirtd_at_the_socket(tmp_path):
    with pytest.raises(HostUnreachable):
        load("libvirt").connect(f"qemu+unix:///system?socket={tmp_path / 'none'}")


def test_a_forked_child_is_told_off(monkeypatch):
    monkeypatch.setattr(connection, "_loop_owner", os.getpid() + 1)
    with pytest.raises(RuntimeError, match="forked"):
        connection.ensure_event_loop()


@pytest.mark.parametrize(
    ("uri", "local"),
    [
        ("qemu:///system", True),
        ("qemu+unix:///system?socket=/run/x", True),
        ("qemu+tls://host/system", False),
        ("qemu+ssh://root@host/system", False),
    ],
)
def test_local_hosts(uri, local):
    assert connection.is_local(uri) is local


@pytest.fixture
def fake_qemu(tmp_path, monkeypatch):
    """A `qemu-system-x86_64` of the given script before the real one, and a fake /dev/kvm that is ours."""

    def make(script: str):
        path = tmp_path / "qemu-system-x86_64"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
        monkeypatch.setattr(kvm.os, "access", lambda device, mode: True)
        monkeypatch.setattr(kvm, "PROBE_SECONDS", 0.5)

    return make


@pytest.mark.parametrize(
    ("script", "reason"),
    [("exit 33", ""), ("exit 1", kvm.NOT_WORKING), ("exec sleep 60", kvm.NOT_WORKING), ("exit 0", kvm.NOT_WORKING)],
)
def test_the_kvm_probe(fake_qemu, script, reason):
    fake_qemu(script)
    assert kvm._run_guest() == reason


def test_the_probe_guest_ends_itself_when_emulated(tmp_path):
    """The same guest under TCG: proves that a working processor gives the answer the probe waits for."""
    disk = tmp_path / "disk.raw"
    disk.write_bytes(kvm._DISK)
    done = subprocess.run(
        [
            "qemu-system-x86_64", "-nodefaults", "-machine", "pc,accel=tcg", "-m", "16", "-display", "none",
            "-drive", f"file={disk},format=raw,if=ide", "-device", f"isa-debug-exit,iobase={kvm._EXIT_PORT},iosize=1",
        ],
        timeout=30, check=False,
    )  # fmt: skip
    assert done.returncode == kvm._EXIT_STATUS


@pytest.mark.parametrize(
    ("path", "offered"),
    [
        ("guest/arch[x86_64]/domain[kvm]", True),
        ("guest/arch[x86_64]/domain[qemu]", False),
        ("guest/arch[i686]/domain[kvm]", False),
        ("host/secmodel/baselabel[kvm]", False),
    ],
)
def test_capabilities(path, offered):
    root = node = etree.Element("capabilities")
    for step in path.split("/"):
        tag, _, value = step.rstrip("]").partition("[")
        node = etree.SubElement(node, tag, {"name" if tag == "arch" else "type": value} if value else {})
    assert kvm._offered(etree.tostring(root, encoding="unicode")) is offered


LAN = NetworkSpec(name="lan", uuid="6f1e2a0c-0b5e-4d3f-9a58-6a3c2f1d0e02", kind="nat", subnet="192.0.2.0/24")


@pytest.mark.parametrize("kind", ["nat", "isolated", "bridge"])
def test_networks_are_defined_on_the_test_driver(kind):
    spec = NetworkSpec(
        name="lan", uuid=LAN.uuid, kind=kind, bridge="br0" if kind == "bridge" else "", subnet=LAN.subnet,
        mtu=0 if kind == "bridge" else 9000,
    )  # fmt: skip
    text = networks.network_xml(spec)
    host = libvirt.open("test:///default")
    try:
        network = host.networkDefineXML(text)
        tree = etree.fromstring(network.XMLDesc())
        forward = tree.find("forward")
        assert (forward.get("mode") if forward is not None else "isolated") == kind
        assert ("no-ping" in text) is (kind != "bridge")
        if kind != "bridge":
            assert tree.find("ip").get("address") == "192.0.2.1"
            assert tree.find("mtu").get("size") == "9000"
            assert dict(tree.find("ip/dhcp/range").attrib) == {"start": "192.0.2.2", "end": "192.0.2.254"}
        network.undefine()
    finally:
        host.close()


@pytest.mark.parametrize("subnet", ["", "x", "192.0.2.0/30", "192.0.2.7/24", "2001:db8::/64"])
def test_bad_subnets(subnet):
    with pytest.raises(Invalid):
        networks.network_xml(NetworkSpec(name="lan", uuid=LAN.uuid, kind="nat", subnet=subnet))


def test_volumes_always_say_their_format():
    below = VolumeInfo(name="b", path="/srv/b.raw", format="raw", capacity=1, allocation=0)
    tree = etree.fromstring(disks.volume_xml("x.qcow2", capacity=5, backing=below))
    assert tree.find("target/format").get("type") == "qcow2"
    assert tree.find("backingStore/format").get("type") == "raw"
    assert tree.findtext("backingStore/path") == "/srv/b.raw"


@pytest.mark.parametrize("path", ["json:{}", "/a,b", "rbd:x"])
def test_a_backing_path_that_is_no_path(path):
    with pytest.raises(Invalid):
        disks.volume_xml("x", capacity=5, backing=VolumeInfo("b", path, "raw", 1, 0))


def test_a_good_name():
    assert names.check("Desk_01.a+b-c") == "Desk_01.a+b-c"


def test_what_the_agent_tells():
    told = agent.from_parameters(
        {
            "user.count": 3, "user.0.name": "alice", "user.1.name": "bob", "user.2.name": "alice",
            "os.name": "Debian GNU/Linux", "os.version": "12 (bookworm)", "hostname": "desk-01",
            "if.count": 2, "if.0.name": "lo", "if.0.addr.count": 2, "if.0.addr.0.addr": "127.0.0.1",
            "if.0.addr.1.addr": "::1", "if.1.addr.count": 3, "if.1.addr.0.addr": "192.0.2.9",
            "if.1.addr.1.addr": "fe80::1", "if.1.addr.2.addr": "2001:db8::9",
        }
    )  # fmt: skip
    assert told == GuestInfo(
        hostname="desk-01", os_name="Debian GNU/Linux", os_version="12 (bookworm)",
        addresses=("192.0.2.9", "2001:db8::9"), users=("alice", "bob"),
    )  # fmt: skip


def test_an_agent_that_tells_nothing():
    assert agent.from_parameters({}) == GuestInfo()
