"""The key by which an SSH host is known: given by its administrator, else the one it showed first.

Written as `<kind> <base64>`, or as long as only its fingerprint is known as `SHA256:…`.
"""

import base64
import binascii
import hashlib
import re
import subprocess
from collections.abc import Sequence
from itertools import pairwise

from broker.core.errors import Invalid
from broker.core.text import gettext_noop as N_
from broker.virt.driver import HostUnreachable

KINDS = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa")
"""The kinds of keys that are taken, the one that is preferred first."""

_FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]{43}")
_LONGEST = 4096
_PATIENCE = 5  # seconds


def normal(value: str, *, field: str = "host_key") -> str:
    """A key or fingerprint as an administrator gives it: a line of ssh-keyscan, a `.pub` file, or ssh-keygen -l."""
    words = value.split() if isinstance(value, str) and len(value) <= _LONGEST else ["?"]
    if not words:
        return ""
    for word in words:
        if _FINGERPRINT.fullmatch(word.rstrip("=")):
            return word.rstrip("=")
    for kind, blob in pairwise(words):
        if kind in KINDS and _holds(kind, blob):
            return f"{kind} {blob}"
    raise Invalid(
        N_("This is no SSH host key."), field=field,
        fix=N_("Give one of the host's /etc/ssh/ssh_host_*_key.pub or what ssh-keygen -lf says, or leave it out."),
    )  # fmt: skip


def fingerprint(key: str) -> str:
    """As ssh-keygen -l shows it."""
    if key.startswith("SHA256:") or not key:
        return key
    digest = hashlib.sha256(base64.b64decode(key.split()[1])).digest()
    return f"SHA256:{base64.b64encode(digest).decode().rstrip('=')}"


def shown_by(address: str, port: int) -> list[str]:
    """The keys that whoever answers there shows. It may be anybody: what is believed is the caller's to say."""
    words = ["ssh-keyscan", "-T", str(_PATIENCE), "-p", str(port), "-t", "ed25519,ecdsa,rsa", "--", address]
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=4 * _PATIENCE)
    except FileNotFoundError as error:
        raise HostUnreachable(
            N_("The host does not answer: %(reason)s."),
            fix=N_("Install openssh-client on the machine Berth runs on."), reason=N_("there is no SSH here"),
        ) from error  # fmt: skip
    except subprocess.TimeoutExpired:
        return []
    found = [words for line in done.stdout.splitlines() if len(words := line.split()) == 3 and words[1] in KINDS]
    return [f"{kind} {blob}" for _, kind, blob in sorted(found, key=lambda words: KINDS.index(words[1]))]


def chosen(expected: str, shown: Sequence[str]) -> str:
    """The key the host is known by from now on. Raises HostUnreachable when it shows none that is expected."""
    if not shown:
        raise HostUnreachable(
            N_("The host does not answer: %(reason)s."),
            fix=N_("Check that an SSH server runs there and that the network lets us through."),
            reason=N_("it shows no SSH key"),
        )  # fmt: skip
    found = next((key for key in shown if expected in ("", key, fingerprint(key))), None)
    if found is None:
        raise HostUnreachable(
            N_("The host shows another key (%(shown)s) than it should (%(expected)s)."),
            fix=N_("If it was installed anew, give its new key; else somebody may be between Berth and the host."),
            shown=fingerprint(shown[0]), expected=fingerprint(expected),
        )  # fmt: skip
    return found


def _holds(kind: str, blob: str) -> bool:
    """Whether the base64 text is a key of this kind, which it names itself."""
    try:
        data = base64.b64decode(blob, validate=True)
    except (binascii.Error, ValueError):
        return False
    return data[4 : 4 + len(kind)].decode("latin-1") == kind and data[:4] == len(kind).to_bytes(4, "big")
