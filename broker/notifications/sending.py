"""One delivery, out of the door: a mail by Django's settings, or a signed POST. Knows no rows; raises Undelivered."""

import hashlib
import hmac
import http.client
import json
import smtplib
import socket
import ssl
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage, get_connection

from broker.core.errors import BerthError

from . import targets

SECONDS, ALL_SECONDS = 10.0, 20.0


class Undelivered(Exception):
    """The target did not take it; the text says why, in a line."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """What is sent. `body` is JSON for a webhook, text for a mail."""

    id: str
    way: str
    target: str
    subject: str
    body: str
    key: str = ""


def send(delivery: Delivery) -> None:
    try:
        (_mail if delivery.way == "mail" else _post)(delivery)
    except (OSError, smtplib.SMTPException, http.client.HTTPException, ssl.SSLError) as error:
        raise Undelivered(f"{type(error).__name__}: {error}"[:500]) from error
    except BerthError as error:
        raise Undelivered(str(error)[:500]) from error


def _mail(delivery: Delivery) -> None:
    headers = {"X-Berth-Delivery": delivery.id, "Auto-Submitted": "auto-generated"}
    connection = get_connection(timeout=SECONDS)
    message = EmailMessage(
        delivery.subject, delivery.body, settings.DEFAULT_FROM_EMAIL, [delivery.target], headers=headers,
        connection=connection,
    )  # fmt: skip
    if not message.send():
        raise Undelivered("the mail server took it for nobody")


def _post(delivery: Delivery) -> None:
    parts = targets.parts_of(delivery.target)
    host, secure = parts.hostname or "", parts.scheme == "https"
    port = parts.port or (443 if secure else 80)
    targets.check(delivery.target, settings.WEBHOOK_HOSTS)
    address = targets.addresses(host, port, settings.WEBHOOK_HOSTS)[0]
    kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
    connection: Any = kind(host, port, timeout=SECONDS)
    # To the address that was looked at, whatever the name leads to by now; the certificate is the name's.
    connection._create_connection = lambda _to, timeout, _source=None: socket.create_connection(
        (address, port), timeout
    )
    body, moment = delivery.body.encode(), str(int(time.time()))
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    headers = {"Content-Type": "application/json", "User-Agent": "Berth", "Berth-Delivery": delivery.id}
    if delivery.key:
        headers["Berth-Signature"] = f"t={moment},v1={signature(delivery.key, moment, body)}"
    limit = threading.Timer(ALL_SECONDS, _cut, [connection])
    limit.daemon = True
    limit.start()
    try:
        connection.request("POST", path, body, headers)
        status = connection.getresponse().status
    finally:
        limit.cancel()
        connection.close()
    if not 200 <= status < 300:
        raise Undelivered(f"the target answered {status}")


def _cut(connection: Any) -> None:
    """Who answers a byte now and then does not hold us."""
    with suppress(OSError, AttributeError):
        connection.sock.shutdown(socket.SHUT_RDWR)


def signature(key: str, moment: str, body: bytes) -> str:
    return hmac.new(key.encode(), moment.encode() + b"." + body, hashlib.sha256).hexdigest()


def as_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
