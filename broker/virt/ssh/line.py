"""How a host's libvirt is reached over SSH: OpenSSH with a configuration of its own for each host, and no other.

libvirt starts `ssh`; told of a command, it starts that instead: a script of one line that brings the configuration
along. So nothing depends on the account's own ~/.ssh, nobody is ever asked for a password, and neither key nor
password stands in an address or a list of processes. The files are made anew from the database wherever Berth runs.
"""

import os
import shlex
import threading
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from django.conf import settings

from broker.access.actor import Actor
from broker.core.text import gettext_noop as N_
from broker.events.record import record
from broker.virt.models import Host

from . import host_key

PORT = 22
_CONFIGURATION = """\
Host *
BatchMode yes
PasswordAuthentication no
KbdInteractiveAuthentication no
IdentitiesOnly yes
IdentityAgent none
IdentityFile "{folder}/key"
StrictHostKeyChecking yes
UserKnownHostsFile "{folder}/{host}.known"
GlobalKnownHostsFile /dev/null
HostKeyAlias {host}
HostKeyAlgorithms {algorithms}
UpdateHostKeys no
CheckHostIP no
ConnectTimeout 5
ServerAliveInterval 15
ServerAliveCountMax 3
ClearAllForwardings yes
ForwardAgent no
ControlMaster no
ControlPath none
LogLevel FATAL
"""


def uri_of(host: Host) -> str:
    """The URI as libvirt gets it. A host that is met for the first time shows its key, which counts from then on."""
    parts = urlsplit(host.uri)
    learn(host)
    words = {**dict(parse_qsl(parts.query)), "command": str(_files(host)), "no_tty": "1"}
    return urlunsplit(parts._replace(query=urlencode(words, safe="/")))


def learn(host: Host) -> None:
    """Have the host's key, if only its fingerprint or nothing is known of it. Raises HostUnreachable."""
    if " " in host.host_key:
        return
    parts = urlsplit(host.uri)
    key = host_key.chosen(host.host_key, host_key.shown_by(parts.hostname or "", parts.port or PORT))
    if Host.objects.filter(pk=host.pk, host_key=host.host_key).update(host_key=key):
        record(
            "host.key", actor=Actor.system("monitor"), subject=host, name=host.name,
            fingerprint=host_key.fingerprint(key),
            message=N_("Host %(name)s is known by the SSH key %(fingerprint)s from now on"),
        )  # fmt: skip
    host.host_key = key


def _files(host: Host) -> Path:
    """The command for this host; its files are as the database has them."""
    folder = Path(settings.DATA_DIR) / "ssh"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    from .key import private_key  # the library is large

    _write(folder / "key", private_key(), 0o600)
    kind = host.host_key.split()[0]
    algorithms = "rsa-sha2-512,rsa-sha2-256" if kind == "ssh-rsa" else kind
    configuration, command = folder / f"{host.pk}.conf", folder / f"{host.pk}.sh"
    _write(folder / f"{host.pk}.known", f"{host.pk} {host.host_key}\n", 0o600)
    _write(configuration, _CONFIGURATION.format(folder=folder, host=host.pk, algorithms=algorithms), 0o600)
    _write(command, f'#!/bin/sh\nexec ssh -F {shlex.quote(str(configuration))} "$@"\n', 0o700)
    return command


def _write(path: Path, text: str, mode: int) -> None:
    """Whoever reads meanwhile finds the old one whole; one that is as it should be is left alone."""
    try:
        if path.read_text() == text:
            return
    except OSError:
        pass
    aside = path.with_name(f"{path.name}.{os.getpid()}-{threading.get_ident()}")
    aside.unlink(missing_ok=True)
    with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w") as file:
        file.write(text)
    aside.replace(path)
