"""Fence devices: what an agent is told and how; what is never given to one; a host fenced to the end."""

import stat
import subprocess

import pytest

from broker.access.actor import Actor
from broker.core.errors import Conflict, Invalid, Unavailable
from broker.virt.actions.confirm_rebooted import confirm_rebooted
from broker.virt.actions.create_fence_device import create_fence_device
from broker.virt.actions.fence_host import fence_host
from broker.virt.ha import fencing
from broker.virt.models import FenceDevice

SYSTEM = Actor.system("test")
SECRET = "s3cret-p4ss"


@pytest.fixture
def agent(tmp_path, monkeypatch):
    """An agent that writes down its arguments, its environment and its standard input, and ends as told."""
    monkeypatch.setattr(fencing.env, "fence_dir", tmp_path)

    def install(code: int = 0, name: str = "fence_ipmilan"):
        path = tmp_path / name
        path.write_text(
            f'#!/bin/sh\necho "$@" >{tmp_path}/args\nenv >{tmp_path}/env\ncat >{tmp_path}/stdin\n'
            f"echo no >&2\nexit {code}\n"
        )
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return tmp_path

    return install


def device(world, **more) -> FenceDevice:
    wish = {"agent": "fence_ipmilan", "address": "192.0.2.9", "username": "admin", "password": SECRET} | more
    return create_fence_device(actor=SYSTEM, host=world.host, **wish)


def test_the_password_goes_by_standard_input_and_is_sealed_in_the_row(world, agent):
    folder = agent()
    row = device(world, options={"lanplus": "1"})
    fencing.switch(row, "off")
    assert (folder / "args").read_text().strip() == ""
    assert SECRET not in (folder / "env").read_text()
    told = dict(line.split("=", 1) for line in (folder / "stdin").read_text().splitlines())
    assert told == {"ip": "192.0.2.9", "username": "admin", "password": SECRET, "lanplus": "1", "action": "off"}
    assert SECRET not in str(FenceDevice.objects.filter(pk=row.pk).values().get())


@pytest.mark.parametrize(("code", "off"), [(0, False), (2, True)])
def test_the_status_is_the_exit_code(world, agent, code, off):
    agent(code)
    assert fencing.is_off(device(world)) is off


def test_an_agent_that_fails_is_neither_on_nor_off(world, agent):
    agent(1)
    with pytest.raises(Unavailable, match="no"):
        fencing.is_off(device(world))
    with pytest.raises(Unavailable):
        fencing.switch(device(world, address="192.0.2.10"), "off")


def test_an_agent_that_is_not_installed_is_named(world, agent):
    with pytest.raises(Unavailable, match="fence-agents"):
        fencing.is_off(device(world))


@pytest.mark.parametrize(
    "wish",
    [
        {"agent": "fence_evil"}, {"agent": "../../bin/sh"}, {"address": ""}, {"address": "a b"}, {"address": "a\nb=c"},
        {"username": "a\naction=off"}, {"password": "a\naction=off"}, {"options": {"action": "off"}},
        {"options": {"password_script": "/bin/sh"}, }, {"options": {"a b": "c"}}, {"options": {"plug": "1\nip=x"}},
        {"options": {"identity_file": "/etc/shadow"}}, {"options": {"debug_file": "/etc/x"}},
        {"options": {"ssh_options": "-oProxyCommand=x"}}, {"options": {"ipmitool_path": "/bin/sh"}},
    ],
)  # fmt: skip
def test_what_could_do_harm_is_refused(world, wish):
    with pytest.raises(Invalid):
        device(world, **wish)
    assert not FenceDevice.objects.exists()


def test_without_a_device_or_silence_there_is_nothing_to_do(world):
    with pytest.raises(Conflict):
        fence_host(actor=SYSTEM, host=world.host)
    with pytest.raises(Conflict):
        confirm_rebooted(actor=SYSTEM, host=world.host)


def test_the_real_agents_take_what_they_are_told(tmp_path):
    """The package's own IPMI agent, asked over standard input for what it can do, knows our words."""
    told = subprocess.run(["/usr/sbin/fence_ipmilan"], input="action=metadata\n", capture_output=True, text=True)
    assert all(f'name="{word}"' in told.stdout for word in ("ip", "username", "password", "action", "lanplus"))
