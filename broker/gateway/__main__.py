"""`python -m broker.gateway`: the console gateway as a program.

It loads the Django models it needs and none of the pages, API and admin, which makes it half the size of a
`manage.py` process.
"""

import argparse
import logging.config
import os
import secrets
import socket
import sys
from typing import Any

from .spare import keep

_NEEDED = ("django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions", "pools")


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="berth-gateway", description="Carries consoles between browsers and machines."
    )
    parser.add_argument("--listen", default="", metavar="HOST:PORT", help="a port of its own")
    parser.add_argument("--native", default="", metavar="HOST:PORT", help="a port for native clients (HTTP CONNECT)")
    parser.add_argument("--tls-cert", default="", help="certificate chain for --listen and --native (PEM)")
    parser.add_argument("--tls-key", default="", help="private key for --listen and --native (PEM)")
    parser.add_argument(
        "--handover", default="", metavar="PATH", help="unix socket on which the web process passes consoles"
    )
    parser.add_argument("--lifeline", type=int, default=-1, metavar="FD", help="stop when this descriptor ends")
    options = parser.parse_args()
    if not (options.listen or options.native or options.handover):
        parser.error("give --listen, --native, --handover, or several of them")
    _load_django()
    try:
        if options.lifeline >= 0:
            keep(lambda lifeline: _serve(options, lifeline), options.lifeline)
        else:
            _serve(options)
    except (OSError, ValueError) as error:
        sys.exit(f"The console gateway cannot start: {error}")


def _load_django() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "broker.settings")
    import django
    from django.conf import settings

    settings.INSTALLED_APPS = [app for app in settings.INSTALLED_APPS if app.startswith("broker.") or app in _NEEDED]
    settings.LOAD_PLANS = False
    _keep_connections(settings.DATABASES["default"])
    django.setup()
    logging.config.dictConfig(settings.LOGGING)


def _keep_connections(database: dict[str, Any]) -> None:
    """Opening SQLite's file anew costs as much as redeeming a ticket; PostgreSQL has its pool."""
    if database["ENGINE"].endswith("sqlite3"):
        database["CONN_MAX_AGE"] = None
        # Each of the desk's threads keeps a connection, and all they read is a few rows by their keys.
        database["OPTIONS"]["init_command"] += "PRAGMA cache_size=-2000;"


def _serve(options: argparse.Namespace, lifeline: int = -1) -> None:
    from django.conf import settings

    from broker.settings import env

    from .admission import Policy
    from .django_desk import DjangoDesk
    from .floor import Floor, browser_context, hypervisor_context
    from .limits import Limits
    from .process import Doors, run

    tls = browser_context(options.tls_cert, options.tls_key) if options.tls_cert else None
    floor = Floor(
        desk=DjangoDesk(f"{socket.gethostname()[:40]}-{secrets.token_hex(4)}"),
        policy=Policy.of(
            settings.ORIGINS,
            cookie=settings.SESSION_COOKIE_NAME,
            proxies=env.trusted_proxies if env.behind_proxy else (),
        ),
        limits=Limits(revalidate_every=env.console_check_every, remote_desktops=env.rdp_most),
        hypervisor_tls=hypervisor_context(env.console_ca_dir) if env.console_ca_dir else None,
    )
    run(
        floor,
        Doors(
            listen=_address(options.listen),
            native=_address(options.native),
            tls=tls,
            handover=options.handover,
            lifeline=lifeline,
            linger=env.console_linger,
        ),
        engine=env.console_engine,
    )


def _address(text: str) -> tuple[str, int] | None:
    host, _, port = text.rpartition(":")
    return (host.strip("[]"), int(port)) if text else None


if __name__ == "__main__":
    main()
