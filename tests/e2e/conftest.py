"""The server over both kinds of database, the browser, and the view from outside: libvirt and the guest agent."""

import base64
import contextlib
import json
import time
from pathlib import Path

import libvirt
import libvirt_qemu
import pytest
from playwright.sync_api import sync_playwright

from tests.e2e import server
from tests.servers import postgres, redis


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def berth(request, lab_host, tiny_image):
    with contextlib.ExitStack() as stack:
        environment = {}
        if request.param == "postgres":
            address = stack.enter_context(redis.running())
            environment = {
                "BERTH_DATABASE_URL": stack.enter_context(postgres.running(migrated=True)),
                "BERTH_BROKER_URL": f"redis://{address}/0",
                "BERTH_REDIS_URL": f"redis://{address}/1",
            }
        stack.callback(clear, lab_host.uri)
        yield stack.enter_context(server.running(lab_host.uri, **environment))


def clear(uri: str) -> None:
    """Leave the host as it was: without machines, pools and networks."""
    connection = libvirt.open(uri)
    for domain in connection.listAllDomains():
        if domain.isActive():
            domain.destroy()
        domain.undefineFlags(libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE)
    for thing in (*connection.listAllStoragePools(), *connection.listAllNetworks()):
        persistent = thing.isPersistent()  # a transient one is gone once it is stopped
        if thing.isActive():
            thing.destroy()
        if persistent:
            thing.undefine()
    connection.close()


@pytest.fixture(scope="module")
def chromium():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
        )
        yield browser
        browser.close()


class Outside:
    """What libvirt and the guest agent say of a machine, asked directly."""

    def __init__(self, uri: str):
        self.connection = libvirt.open(uri)

    def screenshot(self, uuid: str, path: Path) -> Path:
        stream = self.connection.newStream(0)
        self.connection.lookupByUUIDString(uuid).screenshot(stream, 0)
        with path.open("wb") as file:
            stream.recvAll(lambda _, data, file: file.write(data), file)
        stream.finish()
        return path

    def read_file(self, uuid: str, path: str, *, timeout: float = 60) -> str | None:
        """A file in the guest, None when there is none; waits for the agent."""
        deadline = time.monotonic() + timeout
        while True:
            try:
                handle = self._agent(uuid, "guest-file-open", path=path, mode="r")
            except libvirt.libvirtError as error:
                if "No such file" in str(error):
                    return None
                assert time.monotonic() < deadline, error
                time.sleep(0.5)
                continue
            text = self._agent(uuid, "guest-file-read", handle=handle)["buf-b64"]
            self._agent(uuid, "guest-file-close", handle=handle)
            return base64.b64decode(text).decode()

    def run(self, uuid: str, text: str, *, timeout: float = 60) -> str:
        """What a shell in the guest says to this, when it has ended."""
        begun = self._agent(uuid, "guest-exec", **{"path": "/bin/sh", "arg": ["-c", text], "capture-output": True})
        deadline = time.monotonic() + timeout
        while not (told := self._agent(uuid, "guest-exec-status", pid=begun["pid"]))["exited"]:
            assert time.monotonic() < deadline, text
            time.sleep(0.1)
        return base64.b64decode(told.get("out-data", "")).decode()

    def _agent(self, uuid: str, command: str, **arguments):
        domain = self.connection.lookupByUUIDString(uuid)
        order = json.dumps({"execute": command, "arguments": arguments})
        return json.loads(libvirt_qemu.qemuAgentCommand(domain, order, 5, 0))["return"]


@pytest.fixture(scope="module")
def outside(lab_host):
    outside = Outside(lab_host.uri)
    yield outside
    outside.connection.close()
