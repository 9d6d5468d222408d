"""A real Active Directory: Samba's domain controller in a folder of its own. Needs root and a network namespace whose
loopback ports 389 and 636 are free (the cage of tests/lab)."""

import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import ldap
from ldap.ldapobject import SimpleLDAPObject

from tests.servers.slapd import authority, certificate

REALM, DOMAIN, BASE = "AD.EXAMPLE.TEST", "AD", "DC=ad,DC=example,DC=test"
ADMIN_PASSWORD = "Administers-everything-1"
PASSWORD = "Secret-of-theirs-1"
PATIENCE = 60.0


@dataclass
class Samba:
    folder: Path

    url: str = "ldaps://127.0.0.1:636"

    @property
    def config_file(self) -> str:
        return str(self.folder / "etc" / "smb.conf")

    def tool(self, *words: str) -> str:
        """samba-tool on this domain; returns what it says."""
        done = subprocess.run(
            ["samba-tool", *words, "-s", self.config_file], stdin=subprocess.DEVNULL, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"samba-tool {' '.join(words[:3])} failed: {done.stdout}{done.stderr}")
        return done.stdout

    def person(self, name: str) -> str:
        """Add a user; returns the DN."""
        self.tool("user", "create", name, PASSWORD)
        return f"CN={name},CN=Users,{BASE}"

    def _line(self) -> SimpleLDAPObject:
        line = ldap.initialize(self.url)
        line.set_option(ldap.OPT_X_TLS_CACERTFILE, str(self.folder / "tls" / "ca.pem"))
        line.set_option(ldap.OPT_X_TLS_NEWCTX, 0)
        line.simple_bind_s(f"Administrator@{REALM.lower()}", ADMIN_PASSWORD)
        return line

    def change(self, dn: str, **attributes: str) -> None:
        """Write attributes of an entry as an administrator."""
        line = self._line()
        line.modify_s(dn, [(ldap.MOD_REPLACE, name, [value.encode()]) for name, value in attributes.items()])
        line.unbind_s()

    def read(self, dn: str, name: str) -> str:
        """The first value of an attribute; "" without one."""
        line = self._line()
        ((_, entry),) = line.search_s(dn, ldap.SCOPE_BASE, attrlist=[name])
        line.unbind_s()
        return entry[name][0].decode() if name in entry else ""

    def group(self, name: str, *members: str) -> str:
        """Add a group with members by sAMAccountName."""
        self.tool("group", "add", name)
        if members:
            self.tool("group", "addmembers", name, ",".join(members))
        return f"CN={name},CN=Users,{BASE}"

    def config(self, **changes: object) -> dict[str, object]:
        """What a Directory row needs to use it."""
        return {
            "flavour": "ad", "servers": [self.url], "ca": (self.folder / "tls" / "ca.pem").read_text(),
            "bind_dn": f"Administrator@{REALM.lower()}", "user_base": f"CN=Users,{BASE}",
            "group_base": f"CN=Users,{BASE}", **changes,
        }  # fmt: skip


@contextmanager
def running() -> Iterator[Samba]:
    """Yield a domain controller with nobody but its own accounts."""
    folder = Path(tempfile.mkdtemp(prefix="berth-samba-", dir="/var/tmp"))
    server = Samba(folder)
    process = None
    try:
        _call(
            "samba-tool", "domain", "provision", f"--realm={REALM}", f"--domain={DOMAIN}", "--server-role=dc",
            "--dns-backend=NONE", f"--adminpass={ADMIN_PASSWORD}", f"--targetdir={folder}", "--host-name=dc",
            "--host-ip=127.0.0.1", "--option=server services = ldap, kdc, cldap", "--option=bind interfaces only = yes",
            "--option=interfaces = lo",
            f"--option=tls keyfile = {folder}/tls/server.key", f"--option=tls certfile = {folder}/tls/server.pem",
            f"--option=tls cafile = {folder}/tls/ca.pem", f"--option=ncalrpc dir = {folder}/ncalrpc",
            f"--option=winbindd socket directory = {folder}/winbindd", f"--option=pid directory = {folder}",
        )  # fmt: skip
        (folder / "tls").mkdir(exist_ok=True)
        certificate(folder / "tls", *authority("Domain CA"))
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                ["samba", "-F", "--no-process-group", "-s", server.config_file],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        limit = time.monotonic() + PATIENCE
        while not _answers(636):
            if process.poll() is not None or time.monotonic() > limit:
                raise RuntimeError(f"Samba did not start: {(folder / 'log').read_text()[-2000:]}")
            time.sleep(0.1)
        yield server
    finally:
        if process:
            process.terminate()
            process.wait(PATIENCE)
        limit = time.monotonic() + PATIENCE
        while folder.exists() and time.monotonic() < limit:  # its children write until they notice that it has gone
            shutil.rmtree(folder, ignore_errors=True)
            time.sleep(0.1)


def _call(*argv: str) -> None:
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{argv[0]} failed: {done.stdout[-2000:]}{done.stderr[-2000:]}")


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False
