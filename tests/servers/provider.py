"""A small but real OpenID Connect provider on loopback, written by the standards alone, which can be made to misbehave.

It checks what a provider has to: the client's secret, the redirect URI by letter, PKCE (S256), and that a code is used
once, within a minute. Tokens are signed with RSA or elliptic keys by hand (RFC 7515), not by what Berth checks with.
"""

import base64
import hashlib
import hmac
import html
import json
import secrets
import shutil
import ssl
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from tests.servers.slapd import authority, certificate

CLIENT, SECRET, PASSWORD = "berth client", "a secret: of/the client", "secret at the provider"


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _number(value: int) -> str:
    return b64(value.to_bytes((value.bit_length() + 7) // 8, "big"))


class SigningKey:
    """An RSA or P-256 key with a name."""

    def __init__(self, alg: str = "RS256", *, size: int = 2048):
        self.alg, self.kid = alg, secrets.token_hex(4)
        self.key: Any = (
            ec.generate_private_key(ec.SECP256R1()) if alg == "ES256" else rsa.generate_private_key(65537, size)
        )

    def public(self) -> dict[str, str]:
        numbers = self.key.public_key().public_numbers()
        told = {"kid": self.kid, "alg": self.alg, "use": "sig"}
        if self.alg == "ES256":
            x, y = (b64(value.to_bytes(32, "big")) for value in (numbers.x, numbers.y))
            return {**told, "kty": "EC", "crv": "P-256", "x": x, "y": y}
        return {**told, "kty": "RSA", "n": _number(numbers.n), "e": _number(numbers.e)}

    def sign(self, text: bytes) -> bytes:
        if self.alg == "ES256":
            r, s = decode_dss_signature(self.key.sign(text, ec.ECDSA(hashes.SHA256())))
            return r.to_bytes(32, "big") + s.to_bytes(32, "big")
        return self.key.sign(text, padding.PKCS1v15(), hashes.SHA256())

    def pem(self) -> bytes:
        return self.key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )


def token(header: dict[str, Any], claims: Any, sign: Any) -> str:
    text = f"{b64(json.dumps(header).encode())}.{b64(json.dumps(claims).encode())}"
    return f"{text}.{b64(sign(text.encode()))}"


@dataclass
class Provider:
    """`faults`: what it does wrong now; `people`: user name → claims; `asked`: the paths that were asked for."""

    folder: Path
    issuer: str = ""
    key: SigningKey = field(default_factory=SigningKey)
    published: list[dict[str, Any]] = field(default_factory=list)
    people: dict[str, dict[str, Any]] = field(default_factory=dict)
    faults: set[str] = field(default_factory=set)
    more: dict[str, Any] = field(default_factory=dict)
    """Claims that are put over those of everybody; None takes one away."""
    header: dict[str, Any] = field(default_factory=dict)
    codes: dict[str, dict[str, Any]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    redirects: set[str] = field(default_factory=set)
    """Registered redirect URIs; empty: none is refused."""
    released: threading.Event = field(default_factory=threading.Event)

    @property
    def ca(self) -> str:
        return (self.folder / "ca.pem").read_text()

    def config(self, **changes: Any) -> dict[str, Any]:
        ca = {"ca": self.ca} if self.issuer.startswith("https:") else {}
        return {"issuer": self.issuer, "client_id": CLIENT, "private": True, **ca, **changes}

    def person(self, name: str, *groups: str, **claims: Any) -> None:
        self.people[name] = {
            "sub": f"id of {name}", "preferred_username": name, "name": name.title(), "email": f"{name}@example.org",
            "groups": list(groups), **claims,
        }  # fmt: skip

    def reset(self) -> None:
        self.key = SigningKey()
        self.published = [self.key.public()]
        for kept in (self.people, self.faults, self.more, self.header, self.codes, self.asked, self.redirects):
            kept.clear()

    def discovery(self) -> dict[str, Any]:
        return {
            "issuer": self.issuer, "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token", "jwks_uri": f"{self.issuer}/jwks",
            "userinfo_endpoint": f"{self.issuer}/userinfo", "response_types_supported": ["code"],
            "subject_types_supported": ["public"], "id_token_signing_alg_values_supported": ["RS256", "ES256"],
            "claims_supported": ["sub", "preferred_username", "groups"],
            "authorization_response_iss_parameter_supported": True,
        }  # fmt: skip

    def sign_in(self, address: str, name: str, password: str = PASSWORD) -> str:
        """What a browser does with the address Berth leads to: the form is sent; returns where it is led then."""
        query = urllib.parse.urlsplit(address).query
        body = urllib.parse.urlencode({"username": name, "password": password}).encode()
        trusted = ssl.create_default_context(cadata=self.ca) if self.issuer.startswith("https:") else None
        opener = urllib.request.build_opener(_Stay(), urllib.request.HTTPSHandler(context=trusted))
        try:
            opener.open(f"{self.issuer}/authorize?{query}", body, timeout=10)
        except urllib.error.HTTPError as answer:
            if answer.code == 302:
                return answer.headers["Location"]
            raise
        raise AssertionError("the provider led nowhere")

    def authorize(self, asked: dict[str, str], name: str, password: str) -> str:
        """Where the browser is led after the form; raises ValueError for what a provider refuses outright."""
        if asked["client_id"] != CLIENT or (self.redirects and asked["redirect_uri"] not in self.redirects):
            raise ValueError("unknown client or redirect URI")
        told = {"state": asked["state"], "iss": self.issuer}
        if asked["code_challenge_method"] != "S256" or asked["response_type"] != "code":
            told["error"] = "invalid_request"
        elif name not in self.people or password != PASSWORD:
            told |= {"error": "access_denied", "error_description": "<script>alert(1)</script> not you"}
        else:
            code = secrets.token_urlsafe(16)
            self.codes[code] = {**asked, "name": name, "until": time.time() + 60}
            told["code"] = code
        return f"{asked['redirect_uri']}?{urllib.parse.urlencode(told)}"

    def exchange(self, form: dict[str, str], client: tuple[str, str]) -> tuple[int, dict[str, Any]]:
        kept = self.codes.pop(form.get("code", ""), None)
        if client != (CLIENT, SECRET):
            return 401, {"error": "invalid_client"}
        challenge = b64(hashlib.sha256(form.get("code_verifier", "").encode()).digest())
        good = kept and form["redirect_uri"] == kept["redirect_uri"] and kept["until"] > time.time()
        if not good or challenge != kept["code_challenge"]:
            return 400, {"error": "invalid_grant", "error_description": "<b>no</b>"}
        return 200, {"access_token": kept["name"], "token_type": "Bearer", "id_token": self.id_token(kept)}

    def id_token(self, kept: dict[str, str]) -> str:
        now = int(time.time())
        claims = {
            "iss": self.issuer, "aud": CLIENT, "iat": now, "exp": now + 300, "nonce": kept["nonce"],
            **self.people[kept["name"]], **self.more,
        }  # fmt: skip
        claims = {name: value for name, value in claims.items() if value is not None}
        header = {"alg": self.key.alg, "kid": self.key.kid, "typ": "JWT", **self.header}
        if "none" in self.faults:
            return token({**header, "alg": "none"}, claims, lambda text: b"")
        if "hs-with-public-key" in self.faults:
            return token({**header, "alg": "HS256"}, claims, lambda text: hmac.digest(self.key.pem(), text, "sha256"))
        if "signed-by-another" in self.faults:
            return token(header, claims, SigningKey(self.key.alg).sign)
        return token(header, claims, self.key.sign)


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: Any) -> None:
        return None


class _Handler(BaseHTTPRequestHandler):
    provider: Provider

    def log_message(self, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        provider = self.provider
        provider.asked.append(path)
        if f"hang {path}" in provider.faults:
            provider.released.wait(30)
            return
        if f"huge {path}" in provider.faults:
            self._send(200, b'{"x": "' + b"x" * (4 << 20) + b'"}')
        elif f"redirect {path}" in provider.faults:
            self._send(302, b"", Location=f"{provider.issuer}/elsewhere")
        elif f"error {path}" in provider.faults:
            self._send(500, b"<h1>broken</h1>")
        elif path.endswith("/openid-configuration"):
            self._json(200, {**provider.discovery(), **provider.more.get("discovery", {})})
        elif path == "/jwks":
            self._json(200, {"keys": provider.published})
        elif path == "/userinfo":
            name = self.headers.get("Authorization", "").removeprefix("Bearer ")
            self._json(200, provider.people[name] | provider.more.get("userinfo", {}))
        elif path == "/authorize":
            page = f"""<!doctype html><title>Provider</title><form method=post action="/authorize?{html.escape(query)}">
                <input name=username><input name=password type=password><button>Enter</button></form>"""
            self._send(200, page.encode(), **{"Content-Type": "text/html"})
        else:
            self._send(404, b"{}")

    def do_POST(self) -> None:
        path, _, query = self.path.partition("?")
        provider = self.provider
        provider.asked.append(path)
        form = dict(urllib.parse.parse_qsl(self.rfile.read(int(self.headers["Content-Length"])).decode()))
        if path == "/authorize":
            asked = dict(urllib.parse.parse_qsl(query))
            try:
                where = provider.authorize(asked, form.get("username", ""), form.get("password", ""))
            except ValueError as error:
                self._send(400, str(error).encode())
            else:
                self._send(302, b"", Location=where)
            return
        if f"hang {path}" in provider.faults:
            provider.released.wait(30)
            return
        pair = base64.b64decode(self.headers.get("Authorization", "").removeprefix("Basic ")).decode().partition(":")
        client = (urllib.parse.unquote(pair[0]), urllib.parse.unquote(pair[2]))
        self._json(*provider.exchange(form, client))

    def _json(self, status: int, told: Any) -> None:
        self._send(status, json.dumps(told).encode(), **{"Content-Type": "application/json"})

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
def running(*, tls: bool = True) -> Iterator[Provider]:
    """Yield a provider at https://127.0.0.1:port under a CA of its own, or without `tls` at http://."""
    folder = Path(tempfile.mkdtemp(prefix="berth-provider-"))
    ca_key, ca = authority("Test provider CA")
    certificate(folder, ca_key, ca)
    provider = Provider(folder)
    handler = type("Handler", (_Handler,), {"provider": provider})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "server.pem", folder / "server.key")
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    provider.issuer = f"http{'s' if tls else ''}://127.0.0.1:{server.server_address[1]}"
    provider.reset()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield provider
    finally:
        provider.released.set()
        server.shutdown()
        server.server_close()
        shutil.rmtree(folder, ignore_errors=True)
