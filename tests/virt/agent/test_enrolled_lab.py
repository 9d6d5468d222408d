"""Three enrolled hosts: a machine's screen comes through the agent of its host, and it moves over Berth's TLS."""

import asyncio
import socket
import subprocess
import threading
from contextlib import suppress

import pytest
import uvloop
from pytest_django.live_server_helper import LiveServer

from broker.gateway.desk import Target
from broker.gateway.django_desk import through_agent
from broker.gateway.native.viewer import Viewers
from broker.jobs.states import JobState
from broker.virt import hosts
from broker.virt.actions.create_vm import create_vm
from broker.virt.actions.invite_host import invite_host
from broker.virt.actions.migrate_vm import migrate_vm
from broker.virt.agent import consoles
from broker.virt.models import Host, HostAgent, HostCertificate, VirtualMachine
from broker.virt.monitor.process import Monitor
from broker.virt.pki.authority import authority, subject_of
from portal.agents import package
from tests.e2e import viewer
from tests.gateway.fakes import start_gateway, stop_gateway, until
from tests.gateway.test_qemu import see_the_screen
from tests.jobs_help import finish
from tests.lab import guest
from tests.lab.lab import Lab
from tests.virt.actions.stage import SYSTEM
from tests.virt.agent.enrolled import Joining, inside
from tests.virt.monitor.help import eventually
from tests.world import World

pytestmark = [pytest.mark.lab, pytest.mark.django_db(transaction=True)]
OPEN = {16509, 16514, 16515, consoles.PORT}  # the laboratory's hosts have libvirt's TCP port as well


@pytest.fixture
def lab(lab_base):
    with Lab(lab_base / "trio", 3) as lab:
        yield lab


@pytest.fixture
def world(lab, transactional_db, settings, tmp_path):
    settings.DATA_DIR = tmp_path
    settings.ALLOWED_HOSTS = ["*"]
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    world = World.build(driver="libvirt", path=str(lab.shared))
    Host.objects.all().delete()
    guest.write_image(lab.shared / world.version.volume, image_format="qcow2")
    type(world.version).objects.update(size_bytes=1 << 20, memory_mib=16, graphics=["vnc", "spice"])
    world.version.refresh_from_db()
    server = LiveServer(f"{lab.subnet}.1:0")
    joining = []
    for name, host in lab.hosts.items():
        invited = invite_host(actor=SYSTEM, cluster=world.cluster, name=name, address=host.address)
        command = package.command(server.url, str(invited.invitation.pk))
        joining.append(Joining(host, tmp_path / "hosts").begin(command, invited.code))
    for one in joining:
        one.agent()
    stop = threading.Event()
    monitor = threading.Thread(target=Monitor().run, args=(stop,), daemon=True)
    monitor.start()
    yield world
    stop.set()
    monitor.join(30)
    for host in Host.objects.all():
        hosts.forget(host)
    server.stop()


@pytest.mark.timeout(280)
def test_screens_and_moves_between_enrolled_hosts(lab, world, tmp_path):
    eventually(lambda: _ready() == 3, within=90)
    job = finish(create_vm(actor=SYSTEM, name="web", version=world.version, start=True))
    vm = VirtualMachine.objects.get(pk=job.subject_id)
    eventually(lambda: {one["kind"] for one in _fresh(vm).consoles} == {"vnc", "spice"}, within=60)

    first = _fresh(vm).host
    assert set(see(vm)) - {0}, "a screen of one colour"
    for host in lab.hosts.values():
        assert _listening(host, tmp_path) <= OPEN
        assert not [port for port in range(5900, 6000) if _answers(host.address, port)]
    see_by_tls(vm, tmp_path)
    others = [lab.hosts[name] for name in sorted(lab.hosts) if name != first.name]
    for own, key in (("/etc/pki/libvirt/clientcert.pem", "/etc/pki/libvirt/private/clientkey.pem"), ("", "")):
        assert "ok" not in _asked_by(others[0], first, vm, own, key, tmp_path), own

    # it moves encrypted with the certificates of enrolment, and its screen comes from where it is then
    target = Host.objects.get(name=others[0].name)
    assert finish(migrate_vm(actor=SYSTEM, vm=_fresh(vm), host=target)).state == JobState.SUCCEEDED
    assert _fresh(vm).host == target and others[0].qemu_pid(str(vm.pk))
    assert not lab.hosts[first.name].qemu_pid(str(vm.pk))
    assert set(see(vm)) - {0}

    # a host whose certificate is of another authority is sent no memory: the machine stays where it is
    lab._install(others[1].name, others[1].home / "pki")
    job = finish(migrate_vm(actor=SYSTEM, vm=_fresh(vm), host=Host.objects.get(name=others[1].name)))
    assert job.state == JobState.FAILED and "certificate" in str(job.error), job.error
    assert _fresh(vm).host == target and others[0].qemu_pid(str(vm.pk)) and not others[1].qemu_pid(str(vm.pk))


def see(vm: VirtualMachine) -> bytes:
    """The picture on its screen, as a gateway gets it."""
    target = through_agent(_fresh(vm), "vnc")
    assert target is not None

    async def look() -> bytes:
        gateway = await start_gateway("picows", handshake=20.0)
        try:
            return await see_the_screen(gateway, target)
        finally:
            await stop_gateway(gateway)

    for _ in range(3):
        with suppress(TimeoutError), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(look())  # a machine that just starts changes the picture's size in the middle of one
    raise AssertionError("no picture in three attempts")


def see_by_tls(vm: VirtualMachine, folder) -> None:
    """Remote Viewer speaks TLS with the machine's host, through a gateway that cannot read it."""
    held = HostCertificate.objects.get(host=_fresh(vm).host)
    blind = through_agent(_fresh(vm), consoles.TLS_SPICE)
    ca, name = authority().certificate.strip().replace("\n", "\\n"), subject_of(held.certificate)

    async def look() -> None:
        gateway = await start_gateway("picows", handshake=20.0)
        listener = socket.create_server(("127.0.0.1", 0))
        viewers = Viewers(gateway.floor)
        await viewers.listen(listener)
        place = f"127.0.0.1:{listener.getsockname()[1]}"
        secret = gateway.desk.issue(Target(), kind="spice", via="native", machine=str(vm.pk), blind=blind)
        file = folder / "screen.vv"
        file.write_text(
            f"[virt-viewer]\ntype=spice\nhost={vm.pk}.berth.invalid\ntls-port=5901\nca={ca}\nhost-subject={name}\n"
            f"proxy=http://berth:{secret}@{place}\n"
        )
        with viewer.opened(file, folder) as remote:
            await until(lambda: "Insert display" in remote.log.read_text(), 90)
            assert remote.peers() == {place}
        await until(lambda: gateway.desk.ended, 30)
        assert gateway.desk.ended[0][0].bytes_down > 0
        viewers.stop_listening()
        await stop_gateway(gateway)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(look())


def _fresh(vm: VirtualMachine) -> VirtualMachine:
    return VirtualMachine.objects.select_related("host").get(pk=vm.pk)


def _ready() -> int:
    led = [one for one in HostAgent.objects.all() if one.told.get("checks", {}).get("consoles", [False])[0]]
    return min(len(led), Host.objects.filter(observed_at__isnull=False, error="").count())


def _listening(host, folder) -> set[int]:
    """Ports that are open to others on the host."""
    told = subprocess.run([*inside(host, folder), "ss", "-Hltn"], capture_output=True, text=True, check=True).stdout
    places = [line.split()[3].rpartition(":") for line in told.splitlines()]
    return {int(port) for address, _, port in places if not address.startswith(("127.", "[::1]"))}


def _answers(address: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(2)
        return probe.connect_ex((address, port)) == 0


def _asked_by(asker, host: Host, vm: VirtualMachine, own: str, key: str, folder) -> str:
    """What the agent of a host answers to another host."""
    ours = ["-cert", own, "-key", key] if own else []
    done = subprocess.run(
        [*inside(asker, folder), "openssl", "s_client", "-quiet", "-connect", f"{host.address}:{consoles.PORT}", *ours],
        input=consoles.opening(str(vm.pk), "vnc").decode(), capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    return done.stdout
