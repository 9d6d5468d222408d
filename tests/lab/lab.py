"""Several libvirt hosts on a bridge of their own, reachable by TCP and TLS: `with Lab(base, 3) as lab: …`.

`crash`, `cut`, `freeze` and the like of its hosts break one; `repair` puts all right. Addresses come from the range
reserved for benchmarks (RFC 2544). The certificates are made by openssl with a laboratory CA; `pki/client` holds what
a client needs (`tls_uri`).
"""

import itertools
import os
import shutil
import subprocess
from pathlib import Path

from tests.lab.host import LabHost

# Several labs stand side by side, each with a bridge and a subnet of its own, those of another process too.
_numbers = itertools.count(int(os.environ.get("LAB_NUMBER", "77")))

_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "3650"]
_EXTENSIONS = """\
subjectAltName=DNS:{name},IP:{address}
extendedKeyUsage=serverAuth,clientAuth
keyUsage=digitalSignature,keyEncipherment
basicConstraints=CA:FALSE
"""


class Lab:
    """`hosts` maps names ("lab-a", "lab-b", …) to hosts; `shared` is a directory all of them see."""

    def __init__(self, base: Path, count: int) -> None:
        self.base, self.shared, self.pki = base, base / "shared", base / "pki"
        number = next(_numbers)
        self.subnet, self.bridge = f"198.18.{number}", f"labbr{number}"
        names = [f"lab-{chr(ord('a') + index)}" for index in range(count)]
        self.hosts = {
            name: LabHost(
                base, name, address=f"{self.subnet}.{11 + index}", gateway=f"{self.subnet}.1", bridge=self.bridge
            )
            for index, name in enumerate(names)
        }

    def __enter__(self) -> "Lab":
        self.shared.mkdir(parents=True, exist_ok=True)
        self._make_certificates()
        for words in (
            ["link", "add", self.bridge, "type", "bridge"],
            ["addr", "add", f"{self.subnet}.1/24", "dev", self.bridge],
            ["link", "set", self.bridge, "up"],
        ):
            subprocess.run(["ip", *words], check=True)
        table = "127.0.0.1 localhost\n" + "".join(f"{host.address} {name}\n" for name, host in self.hosts.items())
        for host in self.hosts.values():
            host.hosts_file = table
            host.start(wait=False)
        for host in self.hosts.values():
            host.wait()
        return self

    def __exit__(self, *exc: object) -> None:
        for host in self.hosts.values():
            host.stop()
        subprocess.run(["ip", "link", "del", self.bridge], check=False, capture_output=True)

    def repair(self) -> None:
        """Have every host on, its cable in, its libvirtd answering."""
        for host in self.hosts.values():
            if not host.on:
                host.start(wait=False)  # brings its libvirtd up itself; one that is killed meanwhile is half there
                continue
            host.heal()
            host.thaw()
            if not host.daemon_pid:
                host.restart_daemon()
        for host in self.hosts.values():
            host.wait()
            host.heal()

    def tls_uri(self, name: str) -> str:
        """The libvirt URI of a host over TLS with the laboratory's client certificate."""
        return f"qemu+tls://{self.hosts[name].address}/system?pkipath={self.pki / 'client'}"

    def _make_certificates(self) -> None:
        client = self.pki / "client"
        client.mkdir(parents=True, exist_ok=True)
        authority = ["-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign"]
        self._openssl("req", "-x509", *_KEY, "-subj", "/CN=lab CA", *authority, "-keyout", "ca.key", "-out", "ca.pem")
        self._certificate("client", f"{self.subnet}.1")
        for source, target in (("ca.pem", "cacert"), ("client.pem", "clientcert"), ("client.key", "clientkey")):
            shutil.copy(self.pki / source, client / f"{target}.pem")
        for name, host in self.hosts.items():
            self._certificate(name, host.address)
            self._install(name, host.home / "pki")

    def _certificate(self, name: str, address: str) -> None:
        (self.pki / f"{name}.ext").write_text(_EXTENSIONS.format(name=name, address=address))
        self._openssl("req", *_KEY, "-subj", f"/O=lab/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
        signed = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "3650"]
        self._openssl("x509", "-req", "-in", f"{name}.csr", *signed, "-extfile", f"{name}.ext", "-out", f"{name}.pem")

    def _install(self, name: str, target: Path) -> None:
        """Put a host's certificates where libvirtd and QEMU look for them."""
        copies = {"CA/cacert.pem": "ca.pem", "qemu/ca-cert.pem": "ca.pem"}
        for role in ("server", "client"):
            copies[f"libvirt/{role}cert.pem"] = copies[f"qemu/{role}-cert.pem"] = f"{name}.pem"
            copies[f"libvirt/private/{role}key.pem"] = copies[f"qemu/{role}-key.pem"] = f"{name}.key"
        for place, source in copies.items():
            (target / place).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(self.pki / source, target / place)

    def _openssl(self, *arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=self.pki, check=True, capture_output=True)
