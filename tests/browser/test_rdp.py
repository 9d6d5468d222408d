"""A desktop's own remote desktop in Chromium: a real RDP server, the real gateway, and who signs in."""

import asyncio
import subprocess
import threading
import time
from ipaddress import ip_network
from pathlib import Path

import pytest
import websockets
from django.urls import reverse

from broker.connections.actions import set_console_policy
from broker.connections.models import ConsoleTicket, Session
from broker.gateway.admission import Policy
from broker.gateway.django_desk import DjangoDesk
from broker.gateway.engines import make
from broker.gateway.floor import Floor
from broker.settings import env
from broker.virt.models import VirtualMachine
from tests.servers.rdp import remote_desktop

from .test_console import CONSOLES
from .test_pages import violations

pytestmark = pytest.mark.browser
ADDRESS, PASSWORD = "192.0.2.44", "Secret pw1"
OPEN, ENDED = "body[data-phase=open]", "body[data-phase=ended]"


class RealGateway:
    """The real gateway behind the test's web server: an ASGI application that hands its bytes over."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._ready: asyncio.Future[int] | None = None
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.floor: Floor | None = None

    def begin(self, origin: str) -> int:
        async def listen() -> int:
            import socket

            self.floor = Floor(DjangoDesk("test"), Policy.of([origin]))
            listener = socket.create_server(("127.0.0.1", 0))
            listener.setblocking(False)
            await make("picows", self.floor).listen(listener, None)
            return listener.getsockname()[1]

        return asyncio.run_coroutine_threadsafe(listen(), self._loop).result(20)

    def close(self) -> None:
        if self.floor:
            self.floor.pool.shutdown()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    async def __call__(self, scope, receive, send) -> None:
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        port = await asyncio.to_thread(self.begin, headers["origin"]) if self.floor is None else self.port
        self.port = port
        assert (await receive())["type"] == "websocket.connect"
        async with websockets.connect(
            f"ws://127.0.0.1:{port}/console/ws",
            origin=headers["origin"],
            additional_headers={"Cookie": headers["cookie"]},
            subprotocols=scope["subprotocols"],
            compression=None,
        ) as line:
            await send({"type": "websocket.accept", "subprotocol": "binary"})

            async def up() -> None:
                while (message := await receive())["type"] == "websocket.receive":
                    await line.send(message.get("bytes") or message["text"])
                await line.close()

            coming = asyncio.create_task(up())
            try:
                async for piece in line:
                    await send({"type": "websocket.send", "bytes" if isinstance(piece, bytes) else "text": piece})
            except websockets.ConnectionClosed:
                pass  # its code is passed on below
            coming.cancel()
            await send({"type": "websocket.close", "code": line.close_code or 1006, "reason": line.close_reason or ""})


@pytest.fixture
def gateway():
    gateway = RealGateway()
    yield gateway
    gateway.close()


@pytest.fixture
def offered(site, tmp_path, monkeypatch):
    monkeypatch.setattr(env, "rdp_networks", [ip_network("192.0.2.0/24")])
    monkeypatch.setattr(env, "data_dir", tmp_path)
    set_console_policy(actor=site.world.actor("root"), obj=site.desktop, rdp=True)
    told = {"agent": True, "addresses": [ADDRESS]}
    VirtualMachine.objects.filter(pk=site.desktop.pk).update(consoles=CONSOLES, guest=told)


@pytest.fixture
def desktop(offered, tmp_path):
    """The desktop's server; one at a time, for its address and display are of the whole cage."""
    subprocess.run(["ip", "address", "add", f"{ADDRESS}/32", "dev", "lo"], check=True)
    folder = tmp_path / "desktop"
    folder.mkdir()
    with remote_desktop(folder, ADDRESS, user="alice", password=PASSWORD):
        yield folder
    subprocess.run(["ip", "address", "delete", f"{ADDRESS}/32", "dev", "lo"], check=True)


def sign_in(page, password: str) -> None:
    page.wait_for_selector("#rdp-login[open]")
    page.fill("#rdp-password", password)
    page.keyboard.press("Enter")


def seen(path: Path, seconds: float = 30.0) -> bool:
    until = time.monotonic() + seconds
    while not path.exists() and time.monotonic() < until:
        time.sleep(0.1)
    return path.exists()


def shows_something(page) -> None:
    page.wait_for_function(
        """() => {
          const canvas = document.querySelector("#stage canvas");
          const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
          let bright = 0;
          for (let at = 0; at < data.length; at += 4) bright += data[at] + data[at + 1] + data[at + 2] > 600;
          return bright > 5000;
        }""",
        timeout=30000,
    )


def test_somebody_works_in_it_after_a_wrong_password_was_told(site, visit, desktop):
    page = visit("alice", reverse("portal:console-ways", args=[site.desktop.pk]))
    page.get_by_role("link", name="Open the remote desktop").click()
    page.wait_for_selector("#rdp-login[open]")
    assert page.input_value("#rdp-user") == "alice" and violations(page) == []
    sign_in(page, "wrong")
    page.wait_for_selector(ENDED, timeout=40000)
    assert "password" in page.inner_text("#curtain")
    assert page.locator("#rdp-login[open]").count() == 0, "nobody is asked until they say so"
    page.get_by_role("button", name="Sign in again").click()
    sign_in(page, PASSWORD)
    page.wait_for_selector(OPEN, timeout=40000)
    shows_something(page)
    page.mouse.click(300, 300)
    page.keyboard.type("touch typed\n", delay=30)
    assert seen(desktop / "typed")
    session = Session.objects.live().get()
    assert (session.kind, session.user) == ("rdp", site.world.alice)
    assert not ConsoleTicket.objects.exclude(login="").exists()
    told = "".join(path.read_bytes().decode("utf-8", "replace") for path in Path("/proc").glob("[0-9]*/cmdline"))
    assert "xfreerdp" in told and PASSWORD not in told.replace("\0", " ")
    page.close()
    until = time.monotonic() + 30
    while _clients() and time.monotonic() < until:
        time.sleep(0.2)
    assert _clients() == [] and not Session.objects.live().exists()


def _clients() -> list[str]:
    return [
        path.parent.name
        for path in Path("/proc").glob("[0-9]*/comm")
        if path.exists() and path.read_text().strip() in ("xfreerdp", "Xtigervnc")
    ]


def test_whoever_gives_up_is_told_so_and_asks_for_no_ticket(site, visit, offered):
    page = visit("alice", reverse("portal:console", args=[site.desktop.pk]) + "?kind=rdp")
    page.wait_for_selector("#rdp-login[open]")
    page.keyboard.press("Escape")
    page.wait_for_selector(ENDED)
    assert not ConsoleTicket.objects.exists() and not Session.objects.exists()
