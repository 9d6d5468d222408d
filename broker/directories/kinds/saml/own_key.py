"""The key of ours at one provider: signs what Berth asks, and opens what is encrypted for it.

Made here for each directory and sealed in its row; nobody types or reads it. The certificate around it is for programs
that want one: it is signed by itself, and says nothing but the key.
"""

from dataclasses import dataclass
from datetime import timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from broker.core import clock
from broker.core.errors import Unavailable
from broker.core.text import gettext_noop as N_
from broker.directories.models import Directory
from broker.directories.secret import opened, sealed

BITS = 3072
GOOD_FOR = timedelta(days=3650)


@dataclass(frozen=True)
class OwnKey:
    key: rsa.RSAPrivateKey
    certificate: x509.Certificate


def made() -> str:
    """A new key with its certificate, sealed, for the row's `secret`."""
    key = rsa.generate_private_key(65537, BITS)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Berth")])
    now = clock.now()
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + GOOD_FOR)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ) + certificate.public_bytes(serialization.Encoding.PEM)
    return sealed(pem.decode())


def own_key(directory: Directory) -> OwnKey:
    """The row's key. Raises Unavailable when there is none, or it was sealed with another key of this installation."""
    pem = opened(directory).encode()
    if not pem:
        raise Unavailable(
            N_("Berth has no key for %(directory)s."),
            fix=N_("An administrator has to have a new one made."),
            rule="directory.answers",
            directory=directory.name,
        )
    key = serialization.load_pem_private_key(pem, None)
    assert isinstance(key, rsa.RSAPrivateKey)
    return OwnKey(key, x509.load_pem_x509_certificate(pem))
