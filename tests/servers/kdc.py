"""A private MIT KDC on a loopback port: a realm, people and services in it, keytabs, tickets, and what uses them.

No root and no system service are needed; everything is in a folder that goes with it.
"""

import base64
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .slapd import PATIENCE, free_port

REALM = "EXAMPLE.ORG"
HOST = "127.0.0.1"
SERVICE = f"HTTP/{HOST}"
PASSWORD = "what the kdc knows"
MASTER = "of the whole realm"

KRB5_CONF = """
[libdefaults]
    default_realm = {realm}
    dns_lookup_kdc = false
    dns_lookup_realm = false
    dns_canonicalize_hostname = false
    rdns = false
    udp_preference_limit = 1
[realms]
    {realm} = {{
        kdc = 127.0.0.1:{port}
    }}
[domain_realm]
    127.0.0.1 = {realm}
"""
KDC_CONF = """
[kdcdefaults]
    kdc_listen = 127.0.0.1:{port}
    kdc_tcp_listen = 127.0.0.1:{port}
[realms]
    {realm} = {{
        database_name = {folder}/principal
        key_stash_file = {folder}/stash
        acl_file = {folder}/acl
        supported_enctypes = {enctypes}
    }}
[logging]
    kdc = FILE:{folder}/log
"""
_TOKEN = """
import base64, sys, gssapi
from gssapi.raw import OID
name = gssapi.Name(sys.argv[1], gssapi.NameType.kerberos_principal)
mechs = {"spnego": OID.from_int_seq("1.3.6.1.5.5.2"), "krb5": gssapi.MechType.kerberos}
flags = [gssapi.RequirementFlag.mutual_authentication, gssapi.RequirementFlag.out_of_sequence_detection]
context = gssapi.SecurityContext(name=name, mech=mechs[sys.argv[2]], flags=flags, usage="initiate")
print(base64.b64encode(context.step()).decode(), flush=True)
if answer := sys.stdin.readline().strip():
    context.step(base64.b64decode(answer))
    print("complete" if context.complete else "incomplete")
"""


@dataclass
class Kdc:
    folder: Path
    port: int
    realm: str
    process: subprocess.Popen | None = None

    @property
    def environment(self) -> dict[str, str]:
        """For clients; a person's ticket comes on top, see `ticket`."""
        return {
            **os.environ, "KRB5_CONFIG": str(self.folder / "krb5.conf"), "KRB5CCNAME": f"FILE:{self.folder}/cc-none",
        }  # fmt: skip

    def admin(self, query: str) -> None:
        self._run(["/usr/sbin/kadmin.local", "-r", self.realm, "-q", query])

    def person(self, name: str) -> None:
        self.admin(f'addprinc -pw "{PASSWORD}" {name}')

    def keytab(self, *services: str) -> bytes:
        """A keytab with the keys of these services, which are made anew (with a higher key number) when there."""
        place = self.folder / "one.keytab"
        place.unlink(missing_ok=True)
        for service in services:
            self.admin(f"addprinc -randkey {service}")
            self.admin(f"ktadd -k {place} {service}")
        content = place.read_bytes()
        place.unlink()
        return content

    def ticket(self, name: str, **more: str) -> dict[str, str]:
        """The environment of a client that holds a ticket of this person."""
        environment = {**self.environment, "KRB5CCNAME": f"FILE:{self.folder}/cc-{name.replace('/', '-')}", **more}
        subprocess.run(
            ["/usr/bin/kinit", f"{name}@{self.realm}"], input=PASSWORD + "\n", text=True, env=environment, check=True,
            capture_output=True, timeout=60,
        )  # fmt: skip
        return environment

    def start(self) -> None:
        environment = {**self.environment, "KRB5_KDC_PROFILE": str(self.folder / "kdc.conf")}
        self.process = subprocess.Popen(
            ["/usr/sbin/krb5kdc", "-n", "-r", self.realm, "-P", str(self.folder / "pid")], env=environment,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=(self.folder / "stderr").open("ab"),
        )  # fmt: skip
        limit = time.monotonic() + PATIENCE
        while not (self.folder / "pid").exists():
            if self.process.poll() is not None or time.monotonic() > limit:
                raise RuntimeError(f"krb5kdc did not start: {(self.folder / 'stderr').read_text()[-2000:]}")
            time.sleep(0.01)

    def stop(self) -> None:
        if self.process:
            self.process.terminate()
            self.process.wait(PATIENCE)
            self.process = None

    def _run(self, command: list[str]) -> None:
        environment = {**self.environment, "KRB5_KDC_PROFILE": str(self.folder / "kdc.conf")}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
        if done.returncode or "kadmin.local: " in done.stderr:
            raise RuntimeError(f"{command} failed: {done.stderr[-2000:]}")


class Client:
    """A program that negotiates: its first token, and what it makes of the answer."""

    def __init__(self, environment: dict[str, str], service: str = SERVICE, *, mech: str = "spnego", late: str = ""):
        """`late`: how much its clock is wrong, as faketime takes it ("+20m")."""
        command = [sys.executable, "-c", _TOKEN, f"{service}@{REALM}" if "@" not in service else service, mech]
        self._process = subprocess.Popen(
            ["/usr/bin/faketime", "-f", late, *command] if late else command, env=environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        self.token = self._process.stdout.readline().strip()
        if not self.token:
            raise RuntimeError(self._process.stderr.read()[-2000:])

    def takes(self, answer: str) -> bool:
        """Whether the client is satisfied that the server is who it should be."""
        said, _ = self._process.communicate(answer + "\n", timeout=60)
        return said.strip() == "complete"

    @property
    def raw(self) -> bytes:
        return base64.b64decode(self.token)

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.communicate("\n", timeout=60)


@contextmanager
def running(realm: str = REALM, enctypes: str = "aes256-cts-hmac-sha1-96:normal") -> Iterator[Kdc]:
    """Yield a KDC with an empty realm."""
    folder = Path(tempfile.mkdtemp(prefix="berth-kdc-"))
    kdc = Kdc(folder, free_port(), realm)
    names = {"folder": folder, "port": kdc.port, "realm": realm, "enctypes": enctypes}
    (folder / "krb5.conf").write_text(KRB5_CONF.format(**names))
    (folder / "kdc.conf").write_text(KDC_CONF.format(**names))
    try:
        kdc._run(["/usr/sbin/kdb5_util", "create", "-s", "-r", realm, "-P", MASTER, "-W"])
        kdc.start()
        yield kdc
    finally:
        kdc.stop()
        shutil.rmtree(folder, ignore_errors=True)
