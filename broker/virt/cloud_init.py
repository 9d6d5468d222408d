"""What a guest is told at its first start, the way cloud-init's data source NoCloud reads it: from a CD.

The words are kept sealed, a password only as its hash; they are written on a volume that the machine alone has.
JSON is YAML, so that nothing in them can be taken for something else.

Formats: cloud-init's documentation of NoCloud, cloud-config and network configuration version 2.
"""

import ipaddress
import json
import re
import secrets
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

from broker.core.errors import Invalid, Unavailable
from broker.core.sealing import CannotOpen, Sealer
from broker.core.text import gettext_noop as N_

from . import guest_users
from .models import VirtualMachine

_SEALER = Sealer("cloud-init")

FIELDS = (
    "hostname", "user", "password", "ssh_keys", "users", "packages", "script", "address", "gateway", "nameservers"
)  # fmt: skip
LABEL = "CIDATA"
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,62})(\.[A-Za-z0-9]([A-Za-z0-9-]{0,62}))*")
_PACKAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+_:=~-]{0,127}")
_LONGEST_SCRIPT, _MOST = 64 * 1024, 64


def checked(given: Mapping[str, Any], *, name: str) -> dict[str, Any]:
    """`given` by the names of FIELDS, with passwords as their hashes. Raises Invalid naming what is wrong.

    `user`, who may use sudo, is the first of the users; `users` are the others, by guest_users.FIELDS.
    """
    if not isinstance(given, Mapping) or not set(given) <= set(FIELDS):
        raise _wrong("cloud_init", N_("This is not offered."), N_("Use: %(known)s."), known=", ".join(FIELDS))
    wish = {key: value for key, value in given.items() if value}
    found: dict[str, Any] = {"hostname": _text(wish, "hostname", _HOST, name)}
    if len(found["hostname"]) > 253:
        raise _wrong("hostname", N_("This is no name of a host."), N_("Use letters, digits, “-” and “.”."))
    found["user"] = _text(wish, "user", guest_users.NAME, "")
    for field, pattern in (("ssh_keys", guest_users.KEY), ("packages", _PACKAGE)):
        found[field] = _list(wish, field)
        for one in found[field]:
            if not pattern.fullmatch(one):
                raise _wrong(field, N_("“%(one)s” cannot be one of these."), N_("Correct it."), one=one[:60])
    if (wish.get("password") or found["ssh_keys"]) and not found["user"]:
        raise _wrong("user", N_("Whose password or key is it?"), N_("Say the user's name."))
    if password := wish.get("password"):
        found["password_hash"] = guest_users.hashed(password)
    found["users"] = guest_users.checked(wish.get("users", []), first=found["user"])
    script = wish.get("script", "")
    if not isinstance(script, str) or len(script.encode()) > _LONGEST_SCRIPT or "\0" in script:
        raise _wrong("script", N_("This script cannot be used."), N_("Use text of at most 64 KiB."))
    if script and not script.startswith("#!"):
        raise _wrong("script", N_("A script says what runs it."), N_("Begin it with a line like #!/bin/sh."))
    found["script"] = script.replace("\r\n", "\n")
    return found | _network(wish)


def again(vm: VirtualMachine, words: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The words of another first start: `words` as `checked` gave them, else those the machine has.

    cloud-init takes a guest whose instance has another name for one that was never started.
    """
    return {**(words or opened(vm)), "instance": f"{vm.pk}-{secrets.token_hex(4)}"}


def sealed(words: Mapping[str, Any]) -> str:
    """For the machine's row."""
    return _SEALER.seal(json.dumps(words))


def opened(vm: VirtualMachine) -> dict[str, Any]:
    """The words. Raises Unavailable when they were sealed with another key of this installation."""
    try:
        return dict(json.loads(_SEALER.open(vm.cloud_init)))
    except CannotOpen:
        raise Unavailable(
            N_("What %(name)s was to be told cannot be read any more: the secret key of Berth was changed."),
            rule="cloud-init.secret", fix=N_("Make the machine anew."), name=vm.name,
        ) from None  # fmt: skip


@contextmanager
def seed(vm: VirtualMachine) -> Iterator[Path]:
    """A CD with the words of `vm`, as a file that is there as long as the block runs."""
    macs = [nic.mac for nic in vm.nics.all()]
    with tempfile.TemporaryDirectory(prefix="berth-seed-") as folder:
        path, words = Path(folder) / "seed.iso", opened(vm)
        _write(path, files(words.get("instance") or str(vm.pk), words, macs))
        yield path


def files(instance: str, words: Mapping[str, Any], macs: list[str]) -> dict[str, bytes]:
    """The files of NoCloud, by their names."""
    # The name goes into /etc/hosts, too: where no server knows it, sudo would wait for one at every call.
    config: dict[str, Any] = {
        "hostname": words["hostname"], "preserve_hostname": False, "manage_etc_hosts": "localhost"
    }  # fmt: skip
    users = list(words.get("users", []))  # words that were sealed by an older version have none
    if words["user"]:
        hashed = words.get("password_hash", "")
        first = {"name": words["user"], "ssh_keys": words["ssh_keys"], "password_hash": hashed, "sudo": True}
        users.insert(0, first)
    if users:
        config["users"] = ["default", *map(guest_users.entry, users)]
    if words["packages"]:
        config |= {"packages": words["packages"], "package_update": True}
    if words["script"]:
        at = "/var/lib/cloud/berth-first-start"
        config["write_files"] = [{"path": at, "permissions": "0700", "content": words["script"]}]
        config["runcmd"] = [[at]]
    found = {
        "meta-data": _json({"instance-id": instance, "local-hostname": words["hostname"]}),
        "user-data": b"#cloud-config\n" + _json(config),
    }
    if words.get("address") and macs:
        card: dict[str, Any] = {"match": {"macaddress": macs[0]}, "dhcp4": False, "addresses": [words["address"]]}
        if words.get("gateway"):
            card["routes"] = [{"to": "0.0.0.0/0" if "." in words["gateway"] else "::/0", "via": words["gateway"]}]
        if words.get("nameservers"):
            card["nameservers"] = {"addresses": words["nameservers"]}
        found["network-config"] = _json({"version": 2, "ethernets": {"berth0": card}})
    return found


def _write(path: Path, contents: Mapping[str, bytes]) -> None:
    import pycdlib

    disc = pycdlib.PyCdlib()
    disc.new(interchange_level=3, joliet=3, rock_ridge="1.09", vol_ident=LABEL)
    for number, (name, content) in enumerate(contents.items()):
        disc.add_fp(BytesIO(content), len(content), f"/F{number}.;1", rr_name=name, joliet_path=f"/{name}")
    disc.write(str(path))
    disc.close()


def _network(wish: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    try:
        if wish.get("address"):
            if "/" not in str(wish["address"]):
                raise ValueError
            found["address"] = str(ipaddress.ip_interface(str(wish["address"])))
        if wish.get("gateway"):
            found["gateway"] = str(ipaddress.ip_address(str(wish["gateway"])))
        servers = _list(wish, "nameservers")
        found["nameservers"] = [str(ipaddress.ip_address(one)) for one in servers]
    except ValueError:
        raise _wrong(
            "address", N_("These are no addresses."),
            N_("Give the address with its network, like 10.0.0.5/24, and the others without."),
        ) from None  # fmt: skip
    if found.get("gateway") and not found.get("address"):
        raise _wrong("address", N_("A gateway needs an address."), N_("Give the address, too, or neither."))
    return found


def _text(wish: Mapping[str, Any], field: str, pattern: re.Pattern[str], default: str) -> str:
    value = wish.get(field, default)
    if value and (not isinstance(value, str) or not pattern.fullmatch(value)):
        raise _wrong(field, N_("This name cannot be used."), N_("Use letters, digits, “-” and “.”."))
    return str(value)


def _list(wish: Mapping[str, Any], field: str) -> list[str]:
    value = wish.get(field, [])
    lines = [line.strip() for line in value.splitlines()] if isinstance(value, str) else value
    if not isinstance(lines, list) or len(lines) > _MOST or not all(isinstance(one, str) for one in lines):
        raise _wrong(field, N_("This is no list."), N_("Give at most %(most)s, one a line."), most=_MOST)
    return [one for one in lines if one]


def _json(value: Any) -> bytes:
    return json.dumps(value, indent=1).encode() + b"\n"


def _wrong(field: str, message: str, fix: str, **params: Any) -> Invalid:
    return Invalid(message, field=field, fix=fix, **params)
