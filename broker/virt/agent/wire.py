"""How agent and manager speak: JSON, with a code over it that only who has the host's secret can make.

The secret itself is never sent, so neither the address nor a proxy in between has to be trusted. A report is numbered,
each higher than the last, and the answer carries the number: what was recorded is of no use to anybody.
"""

import hmac
import json
import urllib.error
import urllib.request
from typing import Any

MOST = 256 * 1024
HEADER = "Berth-Code"
TIMEOUT = 5.0


class Untrue(ValueError):
    """The code does not fit what was sent, or it is not what was asked for."""


def code(secret: str, purpose: str, body: bytes) -> str:
    return hmac.digest(secret.encode(), purpose.encode() + b"\0" + body, "sha256").hex()


def derived(invitation: str, host: str) -> str:
    """The agent's secret, which both sides make of an invitation's code; who hears what is sent does not know it."""
    return hmac.digest(invitation.encode(), f"agent of {host}".encode(), "sha256").hex()


def fits(secret: str, purpose: str, body: bytes, given: str) -> bool:
    return hmac.compare_digest(code(secret, purpose, body).encode(), given.encode())


def packed(value: dict[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode()


def post(address: str, secret: str, value: dict[str, Any], *, purpose: str = "report") -> dict[str, Any]:
    """Send it; returns the answer. Raises OSError without one, Untrue for one that is not the manager's own."""
    body = packed(value)
    if not address.startswith(("https://", "http://")):
        raise Untrue(f"{address} is no address of a manager")
    request = urllib.request.Request(  # noqa: S310 -- looked at above
        address, data=body, method="POST",
        headers={"Content-Type": "application/json", HEADER: code(secret, purpose, body)},
    )  # fmt: skip
    try:
        answer, given = _sent(request)
    except urllib.error.HTTPError as error:
        raise OSError(f"the manager refuses: {_message(error)}") from None
    if not fits(secret, f"{purpose} answer", answer, given):
        raise Untrue(f"{address} answers, but it is not the manager")
    found: dict[str, Any] = json.loads(answer)
    if found.get("count") != value.get("count"):
        raise Untrue("an answer to another report")
    return found


def _sent(request: urllib.request.Request) -> tuple[bytes, str]:
    with urllib.request.urlopen(request, timeout=TIMEOUT) as response:  # noqa: S310 -- its address was looked at
        return response.read(MOST), response.headers.get(HEADER, "")


def _message(error: urllib.error.HTTPError) -> str:
    """What the manager says; not proved, and only for people to read."""
    try:
        found = json.loads(error.read(MOST))
        return f"{found['message']} {found.get('fix', '')}".strip()
    except (ValueError, KeyError, TypeError, OSError):
        return f"status {error.code}"
