"""A small but real SAML identity provider on loopback, written by the standards alone, which can be made to misbehave.

It reads who asks from their metadata, checks the signature of the request, and answers by a page that posts itself.
What it signs and encrypts is done by xmlsec1, not by what Berth checks with.
"""

import base64
import html
import secrets
import shutil
import ssl
import subprocess
import tempfile
import threading
import urllib.parse
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID
from lxml import etree

from tests.servers.slapd import authority, certificate

PASSWORD = "secret at the provider"
SAML = "urn:oasis:names:tc:SAML:2.0"
NAMES = {"saml": f"{SAML}:assertion", "samlp": f"{SAML}:protocol", "md": f"{SAML}:metadata",
         "ds": "http://www.w3.org/2000/09/xmldsig#", "xenc": "http://www.w3.org/2001/04/xmlenc#"}  # fmt: skip
PERSISTENT = f"{SAML}:nameid-format:persistent"
GCM, CBC = "http://www.w3.org/2009/xmlenc11#aes256-gcm", "http://www.w3.org/2001/04/xmlenc#aes256-cbc"
OAEP = "http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p"

SIGNATURE = """<ds:Signature xmlns:ds="http://www.w3.org/2000/09/xmldsig#" Id="{mark}"><ds:SignedInfo>
<ds:CanonicalizationMethod Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"/>
<ds:SignatureMethod Algorithm="{method}"/><ds:Reference URI="#{id}"><ds:Transforms>
<ds:Transform Algorithm="http://www.w3.org/2000/09/xmldsig#enveloped-signature"/>
<ds:Transform Algorithm="{c14n}"/></ds:Transforms>
<ds:DigestMethod Algorithm="{digest}"/><ds:DigestValue/></ds:Reference></ds:SignedInfo><ds:SignatureValue/>
<ds:KeyInfo><ds:X509Data/></ds:KeyInfo></ds:Signature>"""
ASSERTION = """<saml:Assertion xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="{id}" Version="2.0"
 IssueInstant="{now}"><saml:Issuer>{issuer}</saml:Issuer>{signature}<saml:Subject><saml:NameID Format="{format}">{subject}</saml:NameID>
<saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer"><saml:SubjectConfirmationData
 NotOnOrAfter="{until}" Recipient="{recipient}" InResponseTo="{request}"/></saml:SubjectConfirmation></saml:Subject>
<saml:Conditions NotBefore="{before}" NotOnOrAfter="{over}"><saml:AudienceRestriction><saml:Audience>{audience}</saml:Audience>
</saml:AudienceRestriction></saml:Conditions><saml:AuthnStatement AuthnInstant="{now}"><saml:AuthnContext>
<saml:AuthnContextClassRef>urn:oasis:names:tc:SAML:2.0:ac:classes:Password</saml:AuthnContextClassRef></saml:AuthnContext>
</saml:AuthnStatement><saml:AttributeStatement>{attributes}</saml:AttributeStatement></saml:Assertion>"""  # noqa: E501
RESPONSE = """<samlp:Response xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" ID="{response}" Version="2.0"
 IssueInstant="{now}" Destination="{destination}" InResponseTo="{outer}"><saml:Issuer
 xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion">{issuer}</saml:Issuer>{signature}<samlp:Status>{status}</samlp:Status>{body}
</samlp:Response>"""
SUCCESS = f'<samlp:StatusCode Value="{SAML}:status:Success"/>'
ENCRYPTED = """<xenc:EncryptedData xmlns:xenc="http://www.w3.org/2001/04/xmlenc#"
 Type="http://www.w3.org/2001/04/xmlenc#Element"><xenc:EncryptionMethod Algorithm="{method}"/>
<ds:KeyInfo xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><xenc:EncryptedKey>
<xenc:EncryptionMethod Algorithm="{transport}"/><xenc:CipherData><xenc:CipherValue/></xenc:CipherData>
</xenc:EncryptedKey></ds:KeyInfo><xenc:CipherData><xenc:CipherValue/></xenc:CipherData></xenc:EncryptedData>"""


class SigningKey:
    """An RSA key with a certificate of its own, in files for xmlsec1."""

    def __init__(self, folder: Path, *, size: int = 2048, days: int = 365):
        self.key = rsa.generate_private_key(65537, size)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "provider")])
        now = datetime.now(UTC)
        self.certificate = (
            x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(self.key.public_key())
            .serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(days=400))
            .not_valid_after(now + timedelta(days=days)).sign(self.key, hashes.SHA256())
        )  # fmt: skip
        self.file = folder / f"{secrets.token_hex(4)}.pem"
        self.file.write_bytes(self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ))  # fmt: skip
        self.certificate_file = self.file.with_suffix(".crt")
        self.certificate_file.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))

    def text(self) -> str:
        return base64.b64encode(self.certificate.public_bytes(serialization.Encoding.DER)).decode()


@dataclass
class Idp:
    """`people`: user name → subject and attributes; `more`: words put over those of an answer; `after`: what becomes
    of the answer when it is signed; `signs`: "assertion" and "response"; `encrypts`: a method, or nothing."""

    folder: Path
    url: str = ""
    keys: list[SigningKey] = field(default_factory=list)
    published: list[SigningKey] = field(default_factory=list)
    people: dict[str, tuple[str, dict[str, list[str]]]] = field(default_factory=dict)
    faults: set[str] = field(default_factory=set)
    more: dict[str, str] = field(default_factory=dict)
    signs: set[str] = field(default_factory=set)
    encrypts: str = ""
    before: Callable[[str], str] = str
    after: Callable[[str], str] = str
    asked: list[str] = field(default_factory=list)
    peer: bytes = b""
    """The metadata of who asks."""
    released: threading.Event = field(default_factory=threading.Event)

    @property
    def entity_id(self) -> str:
        return f"{self.url}/metadata"

    @property
    def ca(self) -> str:
        return (self.folder / "ca.pem").read_text()

    def config(self, **changes: Any) -> dict[str, Any]:
        return {"metadata": self.metadata(), "private": True, **changes}

    def address(self, **changes: Any) -> dict[str, Any]:
        """The same with metadata that is read from the server."""
        ca = {"ca": self.ca} if self.url.startswith("https:") else {}
        return {"metadata_url": self.entity_id, "private": True, **ca, **changes}

    def person(self, name: str, *groups: str, subject: str = "", **attributes: list[str]) -> None:
        self.people[name] = (
            subject or f"id of {name}",
            {"uid": [name], "displayName": [name.title()], "mail": [f"{name}@example.org"], "groups": list(groups),
             **attributes},
        )  # fmt: skip

    def reset(self) -> None:
        self.keys = self.keys[:1] or [SigningKey(self.folder)]
        self.published, self.signs, self.encrypts = list(self.keys), {"assertion"}, ""
        self.before = self.after = str
        for kept in (self.people, self.faults, self.more, self.asked):
            kept.clear()

    def metadata(self) -> str:
        keys = "".join(
            f'<md:KeyDescriptor use="signing"><ds:KeyInfo xmlns:ds="{NAMES["ds"]}"><ds:X509Data><ds:X509Certificate>'
            f"{key.text()}</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>"
            for key in self.published
        )
        return (
            f'<md:EntityDescriptor xmlns:md="{NAMES["md"]}" entityID="{self.entity_id}">'
            f'<md:IDPSSODescriptor protocolSupportEnumeration="{NAMES["samlp"]}">{keys}'
            f'<md:SingleSignOnService Binding="{SAML}:bindings:HTTP-Redirect" Location="{self.url}/sso"/>'
            "</md:IDPSSODescriptor></md:EntityDescriptor>"
        )

    def request(self, query: str) -> dict[str, str]:
        """What is asked for. Raises ValueError where it is not signed by whom the metadata says."""
        told = dict(urllib.parse.parse_qsl(query))
        signed = query.partition("&Signature=")[0].encode()
        peer = etree.fromstring(self.peer)
        der = base64.b64decode(peer.findtext(".//ds:X509Certificate", namespaces=NAMES))
        key = x509.load_der_x509_certificate(der).public_key()
        key.verify(base64.b64decode(told["Signature"]), signed, padding.PKCS1v15(), hashes.SHA256())
        root = etree.fromstring(zlib.decompress(base64.b64decode(told["SAMLRequest"]), -15))
        places = [one.get("Location") for one in peer.findall(".//md:AssertionConsumerService", NAMES)]
        asked = {"id": root.get("ID"), "back": root.get("AssertionConsumerServiceURL"),
                 "audience": root.findtext("saml:Issuer", namespaces=NAMES)}  # fmt: skip
        if asked["back"] not in places or asked["audience"] != peer.get("entityID"):
            raise ValueError("it is of somebody else")
        if root.get("Destination") != f"{self.url}/sso":
            raise ValueError("it is for somebody else")
        return asked

    def sign_in(self, address: str, name: str) -> tuple[str, str]:
        """What a browser does with the address Berth leads to: where it posts then, and what."""
        asked = self.request(urllib.parse.urlsplit(address).query)
        return asked["back"], self.answer(asked, name)

    def answer(self, asked: dict[str, str], name: str) -> str:
        now = datetime.now(UTC)
        subject, attributes = self.people.get(name, ("", {}))
        words = {
            "id": f"_{secrets.token_hex(16)}", "response": f"_{secrets.token_hex(16)}", "issuer": self.entity_id,
            "now": at(now), "before": at(now - timedelta(seconds=5)), "over": at(now + timedelta(minutes=5)),
            "until": at(now + timedelta(minutes=5)), "format": PERSISTENT, "subject": escape(subject),
            "recipient": asked["back"], "destination": asked["back"], "request": asked["id"], "outer": asked["id"],
            "audience": asked["audience"], "status": SUCCESS,
            "attributes": "".join(
                f'<saml:Attribute Name="{key}">'
                + "".join(f"<saml:AttributeValue>{escape(value)}</saml:AttributeValue>" for value in values)
                + "</saml:Attribute>" for key, values in attributes.items()
            ),
            "method": "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256", "digest": f"{NAMES['xenc']}sha256",
            "c14n": "http://www.w3.org/2001/10/xml-exc-c14n#", **self.more,
        }  # fmt: skip
        if name not in self.people:
            words["status"] = (
                f'<samlp:StatusCode Value="{SAML}:status:Responder"><samlp:StatusCode '
                f'Value="{SAML}:status:AuthnFailed"/></samlp:StatusCode><samlp:StatusMessage>&lt;script&gt;alert(1)'
                "&lt;/script&gt; not you</samlp:StatusMessage>"
            )
            body = ""
        else:
            body = self.assertion(words)
        proof = SIGNATURE.format(**{**words, "id": words["response"], "mark": "of-response"})
        text = RESPONSE.format(**words, body=body, signature=proof if "response" in self.signs else "")
        if "response" in self.signs:
            text = self.signed(text, "of-response", f"{NAMES['samlp']}:Response")
        return base64.b64encode(self.after(text).encode()).decode()

    def assertion(self, words: dict[str, str]) -> str:
        proof = SIGNATURE.format(**words, mark="of-assertion") if "assertion" in self.signs else ""
        text = self.before(ASSERTION.format(**words, signature=proof))
        if proof:
            text = self.signed(text, "of-assertion", f"{NAMES['saml']}:Assertion")
        return self.encrypted(text) if self.encrypts else text

    def signed(self, text: str, mark: str, element: str) -> str:
        key = self.keys[0]
        files = f"{key.file},{key.certificate_file}"
        names = ["--id-attr:ID", element, "--id-attr:Id", f"{NAMES['ds']}:Signature"]
        return self._xmlsec(text, "--sign", "--privkey-pem", files, *names, "--node-id", mark)

    def encrypted(self, text: str, transport: str = OAEP) -> str:
        """For the key in the peer's metadata."""
        peer = etree.fromstring(self.peer)
        name = self.folder / "peer.pem"
        name.write_text("-----BEGIN CERTIFICATE-----\n" + peer.findtext(".//ds:X509Certificate", namespaces=NAMES)
                        + "\n-----END CERTIFICATE-----\n")  # fmt: skip
        template = self.folder / "template.xml"
        template.write_text(ENCRYPTED.format(method=self.encrypts, transport=self.more.get("transport", transport)))
        kind = "des-192" if "tripledes" in self.encrypts else "aes-256"
        done = self._xmlsec(text, "--encrypt", "--pubkey-cert-pem", str(name), "--session-key", kind, template=template)
        return f'<saml:EncryptedAssertion xmlns:saml="{NAMES["saml"]}">{done}</saml:EncryptedAssertion>'

    def _xmlsec(self, text: str, *arguments: str, template: Path | None = None) -> str:
        given, made = self.folder / "given.xml", self.folder / "made.xml"
        given.write_text(text)
        files = ["--xml-data", str(given), str(template)] if template else [str(given)]
        done = subprocess.run(
            ["xmlsec1", *arguments, "--output", str(made), *files], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return made.read_text().partition("?>")[2].strip()


def at(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


class _Handler(BaseHTTPRequestHandler):
    idp: Idp

    def log_message(self, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        idp = self.idp
        idp.asked.append(path)
        if f"hang {path}" in idp.faults:
            idp.released.wait(30)
        elif f"huge {path}" in idp.faults:
            self._send(200, b"<x>" + b"x" * (4 << 20) + b"</x>")
        elif f"redirect {path}" in idp.faults:
            self._send(302, b"", Location=f"{idp.url}/elsewhere")
        elif path == "/metadata":
            self._send(200, idp.metadata().encode())
        else:
            page = f"""<!doctype html><title>Provider</title><form method=post action="/sso?{html.escape(query)}">
                <input name=username><input name=password type=password><button>Enter</button></form>"""
            self._send(200, page.encode(), **{"Content-Type": "text/html"})

    def do_POST(self) -> None:
        query = self.path.partition("?")[2]
        form = dict(urllib.parse.parse_qsl(self.rfile.read(int(self.headers["Content-Length"])).decode()))
        asked = self.idp.request(query)
        answer = self.idp.answer(asked, form["username"] if form["password"] == PASSWORD else "")
        page = f"""<!doctype html><title>Provider</title><body onload="document.forms[0].submit()"><form method=post
            action="{html.escape(asked["back"])}"><input type=hidden name=SAMLResponse value="{answer}"></form>"""
        self._send(200, page.encode(), **{"Content-Type": "text/html"})

    def _send(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        try:
            self.wfile.write(body)
        except OSError:
            pass  # who asked has gone


@contextmanager
def running(*, tls: bool = True, name: str = "127.0.0.1") -> Iterator[Idp]:
    """Yield a provider at https://127.0.0.1:port under a CA of its own, or without `tls` at http://."""
    folder = Path(tempfile.mkdtemp(prefix="berth-idp-"))
    ca_key, ca = authority("Test provider CA")
    certificate(folder, ca_key, ca)
    idp = Idp(folder)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"idp": idp}))
    server.daemon_threads = True
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "server.pem", folder / "server.key")
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    idp.url = f"http{'s' if tls else ''}://{name}:{server.server_address[1]}"
    idp.reset()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield idp
    finally:
        idp.released.set()
        server.shutdown()
        server.server_close()
        shutil.rmtree(folder, ignore_errors=True)
