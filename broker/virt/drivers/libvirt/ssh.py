"""What goes wrong on the way to a host over SSH, in words that help: libvirt passes on what `ssh` printed."""

import re

from broker.core.text import gettext_noop
from broker.virt.driver import HostUnreachable

PATIENCE = 20.0  # seconds: signing in takes what it takes, also where the host's processors are busy

_CAUSES = (
    (
        re.compile(r"Host key verification failed|HOST IDENTIFICATION HAS CHANGED|no matching host key"),
        gettext_noop("The host shows another SSH key than the one it is known by."),
        gettext_noop("If it was installed anew, give its new key; else somebody may be between Berth and the host."),
    ),
    (
        re.compile(r"Permission denied \("),
        gettext_noop("The host does not let Berth sign in over SSH."),
        gettext_noop("Add Berth's public key (a new host's form shows it) to ~/.ssh/authorized_keys of its account."),
    ),
    (
        re.compile(r"libvirt-sock.*(Permission denied|Operation not permitted)|authentication unavailable|polkit"),
        gettext_noop("The account on the host may not use libvirt."),
        gettext_noop("Use root, or add the account to the group libvirt there."),
    ),
    (
        re.compile(r"libvirt-sock|virt-ssh-helper|\bnc\b.*not found|netcat"),
        gettext_noop("The host lets Berth in, but no libvirtd answers there."),
        gettext_noop("Install libvirt-daemon-system there and start libvirtd."),
    ),
)  # fmt: skip


def unreachable(said: str) -> HostUnreachable | None:
    """What libvirt said of a connection over SSH as an error with its fix; None where nothing better is known."""
    for pattern, message, fix in _CAUSES:
        if pattern.search(said):
            return HostUnreachable(message, fix=fix, reason=said)
    return None
