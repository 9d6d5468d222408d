"""Scripts in a guest, through its agent's guest-exec.

libvirt has no call for it, but passes the agent's own commands on (QEMU's docs/interop/qemu-ga-ref).
"""

import base64
import json
from typing import Any

import libvirt_qemu

from broker.virt.driver import GuestRun, not_running
from broker.virt.drivers.libvirt import agent
from broker.virt.drivers.libvirt.connection import Link

MOST_OUTPUT = 4096  # characters kept of what a script says


class Commanding(Link):
    """What can be done inside the guests of a host."""

    def begin_in_guest(self, uuid: str, script: str) -> str:
        given = {
            "path": "/bin/sh", "arg": ["-s"], "capture-output": True,
            "input-data": base64.b64encode(script.encode()).decode(),
        }  # fmt: skip
        return str(self._ask(uuid, "guest-exec", given)["pid"])

    def ended_in_guest(self, uuid: str, run: str) -> GuestRun | None:
        told = self._ask(uuid, "guest-exec-status", {"pid": int(run)})
        if not told.get("exited"):
            return None
        said = b"".join(base64.b64decode(told.get(name, "")) for name in ("out-data", "err-data"))
        # killed by a signal, it has no exit code
        return GuestRun(int(told.get("exitcode", 255)), said.decode(errors="replace")[:MOST_OUTPUT])

    def _ask(self, uuid: str, command: str, arguments: dict[str, Any]) -> dict[str, Any]:
        with self.calling():
            domain = self.domain(uuid)
            if not domain.isActive():
                raise not_running(domain.name())
            agent.require(domain)
            asked = json.dumps({"execute": command, "arguments": arguments})
            answer = json.loads(libvirt_qemu.qemuAgentCommand(domain, asked, agent.TIMEOUT, 0))
        told: dict[str, Any] = answer["return"]
        return told
