"""The authority: one key pair, made when it is first needed, that signs certificates of hosts and of Berth itself.

What a host asks for is not believed: its request gives the key, and the names are those an administrator gave.
"""

import ipaddress
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from broker.core import clock
from broker.core.errors import Invalid, Unavailable
from broker.core.sealing import CannotOpen, Sealer
from broker.core.text import gettext_noop as N_
from broker.virt.models import Authority

_SEALER = Sealer("certificate authority")

CA_DAYS = 7300
DAYS = 180
BEFORE = timedelta(hours=1)  # clocks of hosts differ
MOST_CSR = 16 * 1024


@dataclass(frozen=True)
class Issued:
    """A certificate and the authority's, as PEM."""

    certificate: str
    authority: str
    until: datetime


def authority() -> Authority:
    """The one there is; made at the first call. Of two that make it at once, one counts."""
    found = Authority.objects.filter(pk=1).first()
    if found is not None:
        return found
    certificate, key = _made()
    made, _ = Authority.objects.get_or_create(pk=1, defaults={"certificate": certificate, "secret": _SEALER.seal(key)})
    return made


def issue(request: str, *, name: str, address: str = "", organization: str = "Berth host", days: int = DAYS) -> Issued:
    """Sign the key of a request (PEM) for these names. Raises Invalid for a request that is none, or Unavailable."""
    asked = _read(request)
    row = authority()
    ca, key = x509.load_pem_x509_certificate(row.certificate.encode()), _key(row)
    now = clock.now().replace(microsecond=0)
    until = min(now + timedelta(days=days), ca.not_valid_after_utc)
    usage = x509.KeyUsage(True, False, True, False, False, False, False, False, False)
    names = [_general(one) for one in dict.fromkeys((name, address)) if one]
    built = (
        x509.CertificateBuilder()
        .subject_name(_subject(organization, name))
        .issuer_name(ca.subject)
        .public_key(asked.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BEFORE)
        .not_valid_after(until)
        .add_extension(x509.BasicConstraints(False, None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False
        )
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False
        )
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    return Issued(_pem(built), row.certificate, until)


def ca_until() -> datetime | None:
    """When the authority itself ends; None while there is none."""
    row = Authority.objects.filter(pk=1).first()
    return x509.load_pem_x509_certificate(row.certificate.encode()).not_valid_after_utc if row else None


def subject_of(certificate: str) -> str:
    """Whose it is, as SPICE clients are told whom to expect."""
    names = x509.load_pem_x509_certificate(certificate.encode()).subject
    return ",".join(f"{one.rfc4514_attribute_name}={one.value!s}" for one in names)


def request_for(name: str) -> tuple[str, str]:
    """A new key and a request for it, as PEM: for certificates of Berth's own."""
    key = ec.generate_private_key(ec.SECP256R1())
    asked = x509.CertificateSigningRequestBuilder().subject_name(_subject("Berth", name)).sign(key, hashes.SHA256())
    return _private(key), asked.public_bytes(serialization.Encoding.PEM).decode()


def _made() -> tuple[str, str]:
    key, now = ec.generate_private_key(ec.SECP384R1()), clock.now().replace(microsecond=0)
    subject = _subject("Berth", "Berth CA")
    usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
    built = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BEFORE)
        .not_valid_after(now + timedelta(days=CA_DAYS))
        .add_extension(x509.BasicConstraints(True, 0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return _pem(built), _private(key)


def _read(request: str) -> x509.CertificateSigningRequest:
    try:
        if len(request) > MOST_CSR:
            raise ValueError("too long")
        asked = x509.load_pem_x509_csr(request.encode())
        key = asked.public_key()
        strong = isinstance(key, ec.EllipticCurvePublicKey) or (
            isinstance(key, rsa.RSAPublicKey) and 2048 <= key.key_size <= 8192
        )
        if not strong or not asked.is_signature_valid:
            raise ValueError("weak or not signed")
    except Exception as error:  # the library raises of many kinds for what is no request
        raise Invalid(
            N_("This is no certificate request with a key of its own."), field="csr",
            fix=N_("Install the agent of this version of Berth."),
        ) from error  # fmt: skip
    return asked


def _key(row: Authority) -> ec.EllipticCurvePrivateKey:
    try:
        text = _SEALER.open(row.secret)
    except CannotOpen:
        raise Unavailable(
            N_("The key of Berth's certificate authority cannot be read: the secret key of Berth was changed."),
            fix=N_("Put the old secret key back."), rule="pki.secret",
        ) from None  # fmt: skip
    key = serialization.load_pem_private_key(text.encode(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key


def _subject(organization: str, name: str) -> x509.Name:
    return x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization), x509.NameAttribute(NameOID.COMMON_NAME, name)]
    )


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _private(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
