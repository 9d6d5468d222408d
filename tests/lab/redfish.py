"""Power management of the laboratory's hosts, by Redfish over TLS: the agent fence_redfish takes it for a real one.

`ways` says how it behaves for a host: "ok"; "lies" (says that it is off, and it runs on); "stuck" (an order to cut the
power is kept until `ways` says something else, and then comes to nothing). `orders`: what was obeyed. A host in
`pretend_on` crashed, and its power supply has power. One in `slow` that is given power is there after `boot` only: a
real server tests its memory for minutes, the laboratory's is back before anybody decides anything.
"""

import base64
import json
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.lab.lab import Lab

USER, PASSWORD = "admin", "labpass"
ROOT = "/redfish/v1/Systems"


class PowerStrip(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, lab: Lab) -> None:
        super().__init__((f"{lab.subnet}.1", 0), Handler)
        self.lab, self.ways, self.orders = lab, dict.fromkeys(lab.hosts, "ok"), list[tuple[str, str]]()
        self.stuck: set[str] = set()
        self.pretend_on: set[str] = set()
        self.slow: set[str] = set()
        self._said_off: set[str] = set()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(lab.pki / "client.pem", lab.pki / "client.key")
        self.socket = context.wrap_socket(self.socket, server_side=True)
        self.thread = threading.Thread(target=self.serve_forever, daemon=True)
        self.thread.start()

    def device(self, name: str) -> dict[str, Any]:
        """What Berth is told of it."""
        address, port = self.server_address[:2]
        options = {"ipport": str(port), "ssl_insecure": "1", "systems_uri": f"{ROOT}/{name}"}
        return {
            "agent": "fence_redfish", "address": str(address), "username": USER, "password": PASSWORD,
            "options": options,
        }  # fmt: skip

    def power(self, name: str) -> str:
        on = self.lab.hosts[name].on or name in self.pretend_on
        return "On" if on and name not in self._said_off else "Off"

    def order(self, name: str, kind: str) -> None:
        host = self.lab.hosts[name]
        if kind == "ForceOff" and self.ways[name] == "stuck":
            self.stuck.add(name)
            while self.ways[name] == "stuck":
                time.sleep(0.05)
            return
        self.orders.append((name, kind))
        self.pretend_on.discard(name)
        if self.ways[name] == "lies":
            (self._said_off.add if kind == "ForceOff" else self._said_off.discard)(name)
        elif kind == "ForceOff" and host.on:
            host.crash()
        elif kind == "On" and not host.on:
            self.pretend_on.add(name)
            if name not in self.slow:
                self.boot(name)

    def boot(self, name: str) -> None:
        """Let the host that was given power start."""
        self.pretend_on.discard(name)
        self.lab.hosts[name].start(wait=False)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Who gave an order may have died since."""

    def close(self) -> None:
        self.ways = dict.fromkeys(self.ways, "ok")
        self.shutdown()
        self.server_close()


class Handler(BaseHTTPRequestHandler):
    server: PowerStrip

    def do_GET(self) -> None:
        path = self.path.rstrip("/")
        name = path.rpartition("/")[2]
        if path == "/redfish/v1":
            self._say({"@odata.id": path, "RedfishVersion": "1.6.0", "Systems": {"@odata.id": ROOT}})
        elif self._allowed() and name in self.server.lab.hosts:
            actions = {"#ComputerSystem.Reset": {"target": f"{path}/Actions/ComputerSystem.Reset"}}
            self._say({"@odata.id": path, "Id": name, "PowerState": self.server.power(name), "Actions": actions})

    def do_POST(self) -> None:
        wish = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self._allowed():
            self.server.order(self.path.split("/")[4], wish["ResetType"])
            self._say(None)

    def _allowed(self) -> bool:
        wanted = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        if self.headers.get("Authorization") == wanted:
            return True
        self._say({"error": "auth"}, 401)
        return False

    def _say(self, told: object, status: int = 200) -> None:
        body = b"" if told is None else json.dumps(told).encode()
        self.send_response(status if body else 204)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words: Any) -> None:
        pass
