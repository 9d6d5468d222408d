"""A private slapd on loopback ports: memberOf, refint, ppolicy, TLS under a CA of its own, and anonymous binds that
take any name without a password (as careless installations do), to prove that nobody gets in by one.

No root and no system service are needed; everything is in a folder that goes with it.
"""

import datetime
import ipaddress
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import ldap
import ldap.modlist
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

SUFFIX = "dc=example,dc=org"
PEOPLE, GROUPS = f"ou=people,{SUFFIX}", f"ou=groups,{SUFFIX}"
ROOT_DN, ROOT_PASSWORD = f"cn=root,{SUFFIX}", "the root of the tree"
READER_DN, READER_PASSWORD = f"cn=reader,{SUFFIX}", "reads everything"
PATIENCE = 15.0

CONFIG = """
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
include /etc/ldap/schema/nis.schema
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload memberof
moduleload refint
moduleload ppolicy
pidfile {folder}/pid
argsfile {folder}/args
allow bind_v2 bind_anon_cred bind_anon_dn
sizelimit size.soft=500 size.hard=unlimited size.pr=1000 size.prtotal=unlimited
TLSCACertificateFile {folder}/ca.pem
TLSCertificateFile {folder}/server.pem
TLSCertificateKeyFile {folder}/server.key
attributetype ( 1.3.6.1.4.1.99999.1.1 NAME 'employeeEnabled' SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )
attributetype ( 1.3.6.1.4.1.99999.1.2 NAME 'nsAccountLock' EQUALITY caseIgnoreMatch
  SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )
attributetype ( 1.3.6.1.4.1.99999.1.3 NAME 'ipaUniqueID' EQUALITY caseIgnoreMatch
  SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )
attributetype ( 1.3.6.1.4.1.99999.1.4 NAME 'krbPasswordExpiration' EQUALITY generalizedTimeMatch
  SYNTAX 1.3.6.1.4.1.1466.115.121.1.24 )
attributetype ( 1.3.6.1.4.1.99999.1.5 NAME 'krbPrincipalExpiration' EQUALITY generalizedTimeMatch
  SYNTAX 1.3.6.1.4.1.1466.115.121.1.24 )
attributetype ( 1.3.6.1.4.1.99999.1.10 NAME 'sAMAccountName' EQUALITY caseIgnoreMatch
  SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )
attributetype ( 1.3.6.1.4.1.99999.1.11 NAME 'userPrincipalName' EQUALITY caseIgnoreMatch
  SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )
attributetype ( 1.3.6.1.4.1.99999.1.12 NAME 'objectGUID' EQUALITY octetStringMatch
  SYNTAX 1.3.6.1.4.1.1466.115.121.1.40 )
attributetype ( 1.3.6.1.4.1.99999.1.13 NAME 'objectSid' EQUALITY octetStringMatch
  SYNTAX 1.3.6.1.4.1.1466.115.121.1.40 )
attributetype ( 1.3.6.1.4.1.99999.1.14 NAME 'userAccountControl' EQUALITY caseIgnoreMatch
  SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )
attributetype ( 1.3.6.1.4.1.99999.1.15 NAME 'accountExpires' EQUALITY caseIgnoreMatch
  SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )
attributetype ( 1.3.6.1.4.1.99999.1.16 NAME 'primaryGroupID' EQUALITY caseIgnoreMatch
  SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )
objectclass ( 1.3.6.1.4.1.99999.2.1 NAME 'testFlags' SUP top AUXILIARY
  MAY ( employeeEnabled $ nsAccountLock $ ipaUniqueID ) )
objectclass ( 1.3.6.1.4.1.99999.2.4 NAME 'ipaObject' SUP top AUXILIARY MUST ipaUniqueID MAY nsAccountLock )
attributetype ( 1.3.6.1.4.1.99999.1.6 NAME 'krbPrincipalName' EQUALITY caseExactMatch
  SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )
objectclass ( 1.3.6.1.4.1.99999.2.5 NAME 'krbPrincipalAux' SUP top AUXILIARY
  MAY ( krbPasswordExpiration $ krbPrincipalExpiration $ krbPrincipalName ) )
objectclass ( 1.3.6.1.4.1.99999.2.6 NAME 'ipaUserGroup' SUP groupOfNames STRUCTURAL )
objectclass ( 1.3.6.1.4.1.99999.2.2 NAME 'adUser' SUP inetOrgPerson STRUCTURAL MAY ( sAMAccountName $ objectGUID $
  userAccountControl $ userPrincipalName $ accountExpires $ primaryGroupID $ objectSid ) )
objectclass ( 1.3.6.1.4.1.99999.2.3 NAME 'adGroup' SUP groupOfNames STRUCTURAL
  MAY ( objectGUID $ objectSid $ sAMAccountName ) )
database mdb
maxsize 268435456
suffix {suffix}
rootdn {root_dn}
rootpw {root_password}
directory {folder}/data
dbnosync
index objectClass,uid,member,memberUid,entryUUID,modifyTimestamp eq
access to attrs=userPassword by anonymous auth by * none
access to * by dn.exact={reader_dn} read by dn.exact={limited_dn} read by users search by * none
limits dn.exact={limited_dn} size.soft=5 size.hard=5 size.pr=5 size.prtotal=5
overlay memberof
memberof-refint FALSE
overlay refint
refint_attributes member
refint_nothing {root_dn}
overlay ppolicy
ppolicy_default cn=ppolicy,{suffix}
"""
LIMITED_DN = f"cn=limited,{SUFFIX}"


@dataclass
class Slapd:
    """A running server. Addresses name 127.0.0.1: libldap turns “localhost” into the machine's own name."""

    folder: Path
    port: int
    tls_port: int
    process: subprocess.Popen | None = None
    _line: ldap.ldapobject.LDAPObject | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        return f"ldap://127.0.0.1:{self.port}"

    @property
    def tls_url(self) -> str:
        return f"ldaps://127.0.0.1:{self.tls_port}"

    @property
    def ca(self) -> str:
        return (self.folder / "ca.pem").read_text()

    def config(self, **changes: object) -> dict[str, object]:
        """What a Directory row needs to use this server."""
        return {
            "flavour": "openldap", "servers": [self.tls_url], "ca": self.ca, "bind_dn": READER_DN,
            "user_base": PEOPLE, "group_base": GROUPS, **changes,
        }  # fmt: skip

    @property
    def root(self) -> ldap.ldapobject.LDAPObject:
        """A line that may change everything."""
        if self._line is None:
            self._line = ldap.initialize(self.url)
            self._line.simple_bind_s(ROOT_DN, ROOT_PASSWORD)
        return self._line

    def add(self, dn: str, **attributes: str | bytes | Iterable[str]) -> str:
        """Add an entry; returns its DN."""
        self.root.add_s(dn, ldap.modlist.addModlist({name: _values(value) for name, value in attributes.items()}))
        return dn

    def person(self, uid: str, password: str = "secret of theirs", **more: str | bytes | Iterable[str]) -> str:
        """Add an inetOrgPerson; returns the DN."""
        given: dict = {"objectClass": ["inetOrgPerson"], "uid": uid, "cn": uid.title(), "sn": uid.title(),
                       "userPassword": password}  # fmt: skip
        if uid.isascii() and uid.isalnum():
            given["mail"] = f"{uid}@example.org"
        return self.add(f"uid={ldap.dn.escape_dn_chars(uid)},{PEOPLE}", **(given | more))

    def group(self, cn: str, *members: str) -> str:
        """Add a groupOfNames; returns the DN."""
        return self.add(f"cn={cn},{GROUPS}", objectClass="groupOfNames", cn=cn, member=list(members) or [ROOT_DN])

    def change(self, dn: str, **attributes: str | bytes | Iterable[str] | None) -> None:
        """Replace attributes; None removes one."""
        self.root.modify_s(
            dn,
            [(ldap.MOD_REPLACE, name, None if value is None else _values(value)) for name, value in attributes.items()],
        )

    def attribute(self, dn: str, name: str) -> str:
        """The first value, operational ones too."""
        return self.root.search_s(dn, ldap.SCOPE_BASE, "(objectClass=*)", [name])[0][1][name][0].decode()

    def clear(self) -> None:
        """Remove all people and groups."""
        for base in (GROUPS, PEOPLE):
            for dn, _ in self.root.search_s(base, ldap.SCOPE_ONELEVEL, "(objectClass=*)", ["1.1"]):
                self.root.delete_s(dn)

    def load(self, ldif: str) -> None:
        """Add many entries at once, with the server stopped for it."""
        self.stop()
        (self.folder / "load.ldif").write_text(ldif)
        done = subprocess.run(
            ["/usr/sbin/slapadd", "-q", "-f", str(self.folder / "slapd.conf"), "-l", str(self.folder / "load.ldif")],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"slapadd failed: {done.stderr[-2000:]}")
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            ["/usr/sbin/slapd", "-f", str(self.folder / "slapd.conf"), "-h", f"{self.url}/ {self.tls_url}/", "-d", "0"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=(self.folder / "log").open("ab"),
        )  # fmt: skip
        limit = time.monotonic() + PATIENCE
        while not (_answers(self.port) and _answers(self.tls_port)):
            if self.process.poll() is not None or time.monotonic() > limit:
                raise RuntimeError(f"slapd did not start: {(self.folder / 'log').read_text()[-2000:]}")
            time.sleep(0.01)

    def stop(self) -> None:
        self._line = None
        if self.process:
            self.process.terminate()
            self.process.wait(PATIENCE)
            self.process = None


@contextmanager
def running() -> Iterator[Slapd]:
    """Yield a server with an empty tree: the suffix, ou=people, ou=groups, a reader, a password policy."""
    folder = Path(tempfile.mkdtemp(prefix="berth-slapd-"))
    (folder / "data").mkdir()
    ca_key, ca = authority("Test directory CA")
    certificate(folder, ca_key, ca)
    names = {
        "folder": folder, "suffix": SUFFIX, "root_dn": ROOT_DN, "root_password": f'"{ROOT_PASSWORD}"',
        "reader_dn": READER_DN, "limited_dn": LIMITED_DN,
    }  # fmt: skip
    (folder / "slapd.conf").write_text(CONFIG.format(**names))
    server = Slapd(folder, free_port(), free_port())
    try:
        server.start()
        _plant(server)
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _plant(server: Slapd) -> None:
    server.add(SUFFIX, objectClass=["dcObject", "organization"], dc="example", o="Example")
    for base, name in ((PEOPLE, "people"), (GROUPS, "groups")):
        server.add(base, objectClass="organizationalUnit", ou=name)
    for dn, name in ((READER_DN, "reader"), (LIMITED_DN, "limited")):
        server.add(
            dn, objectClass=["organizationalRole", "simpleSecurityObject"], cn=name, userPassword=READER_PASSWORD
        )
    server.add(
        f"cn=ppolicy,{SUFFIX}", objectClass=["organizationalRole", "pwdPolicy"], cn="ppolicy",
        pwdAttribute="userPassword", pwdLockout="TRUE", pwdMaxFailure="5", pwdLockoutDuration="600",
    )  # fmt: skip


def authority(name: str) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    """A CA: its key and its certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    return key, _signed(name, key.public_key(), key, x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]), True)


def certificate(
    folder: Path, ca_key: ec.EllipticCurvePrivateKey, ca: x509.Certificate, *, ip: str = "127.0.0.1"
) -> None:
    """Write ca.pem, server.pem and server.key for a server at `ip`."""
    key = ec.generate_private_key(ec.SECP256R1())
    server = _signed("directory", key.public_key(), ca_key, ca.subject, False, ip)
    (folder / "ca.pem").write_bytes(ca.public_bytes(serialization.Encoding.PEM))
    (folder / "server.pem").write_bytes(server.public_bytes(serialization.Encoding.PEM))
    (folder / "server.key").touch(mode=0o600)
    (folder / "server.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


def _signed(
    name: str, public: ec.EllipticCurvePublicKey, key: ec.EllipticCurvePrivateKey, issuer: x509.Name, is_ca: bool,
    ip: str = "127.0.0.1",
) -> x509.Certificate:  # fmt: skip
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=2))
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
    )
    if not is_ca:
        names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(ip))])
        builder = builder.add_extension(names, critical=False)
    return builder.sign(key, hashes.SHA256())


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


def _values(value: str | bytes | Iterable[str]) -> list[bytes]:
    given = [value] if isinstance(value, str | bytes) else list(value)
    return [part if isinstance(part, bytes) else part.encode() for part in given]
