"""The web server: pages, API and live updates; consoles are handed to the gateway."""

import signal
from typing import Any

import uvicorn

from broker.gateway.door import door
from broker.settings import env
from portal.http import is_upload


class Web:
    """uvicorn in the calling thread. `serve` returns after SIGINT or SIGTERM, when all is answered."""

    def __init__(self, listen: str, gateway_socket: str):
        host, _, port = listen.rpartition(":")
        self.config = uvicorn.Config(
            "portal.asgi:application",
            host=host.strip("[]"),
            port=int(port),
            http=door(gateway_socket, straight=is_upload),
            ws="websockets-sansio",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=env.behind_proxy,
            forwarded_allow_ips=",".join(env.trusted_proxies),
            server_header=False,
            timeout_graceful_shutdown=3,
            ws_per_message_deflate=False,
        )
        self.server = uvicorn.Server(self.config)

    def serve(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            # uvicorn raises the signal again when it is done; without a handler that would end us before our own end.
            signal.signal(number, _ignore)
        self.server.run()


def _ignore(number: int, frame: Any) -> None:
    """The server has its own handler while it runs."""
