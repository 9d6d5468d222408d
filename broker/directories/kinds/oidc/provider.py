"""What a provider says of itself: its discovery document and its keys, remembered for some minutes.

A token signed with a key that is not known has the keys read anew, so that a provider may change them at any time; not
oftener than every ten seconds, or whoever sends bad tokens would have Berth ask and ask.
"""

import threading
from dataclasses import dataclass
from typing import Any

from jwcrypto.common import JWException
from jwcrypto.jwk import JWK

from broker.core import clock
from broker.directories.https import Silent, is_safe

from .config import OidcConfig
from .line import Line

REMEMBERED = 300.0
ANEW_AFTER = 10.0
MOST_KEYS = 50
SMALLEST_RSA = 2048
FAMILIES = {
    "RS256": "RSA", "RS384": "RSA", "RS512": "RSA", "PS256": "RSA", "PS384": "RSA", "PS512": "RSA",
    "ES256": "EC", "ES384": "EC", "ES512": "EC", "EdDSA": "OKP",
}  # fmt: skip
"""The algorithms that are taken, all with two keys, and the type of key each has. No "none", and no shared secrets."""


@dataclass(frozen=True)
class Provider:
    """The part of the discovery document (OpenID Connect Discovery 1.0, section 3) that is used."""

    authorization: str
    token: str
    jwks: str
    userinfo: str = ""
    end_session: str = ""
    basic: bool = True
    says_issuer: bool = False
    claims: tuple[str, ...] = ()


@dataclass(frozen=True)
class Keys:
    """The provider's public keys and since when they are known (broker.core.clock.steady)."""

    all: tuple[JWK, ...]
    read_at: float

    def fitting(self, kid: str, family: str) -> list[JWK]:
        """Those a token may be signed with: of the type, and of the name if it has one."""
        fit = [key for key in self.all if key.get("kty") == family]
        return [key for key in fit if key.get("kid") == kid] if kid else fit


_known: dict[OidcConfig, tuple[float, Provider]] = {}
_keys: dict[tuple[OidcConfig, str], Keys] = {}
_lock = threading.Lock()


def forget() -> None:
    """As after a start."""
    with _lock:
        _known.clear()
        _keys.clear()


def provider_of(line: Line, *, anew: bool = False) -> Provider:
    """The provider behind the line's issuer. Raises Silent when it does not answer, or not as that issuer."""
    kept = None if anew else _known.get(line.config)
    if kept and clock.steady() - kept[0] < REMEMBERED:
        return kept[1]
    status, told = line.ask(line.config.issuer.rstrip("/") + "/.well-known/openid-configuration")
    if status != 200:
        raise Silent(f"its discovery document is answered with {status}")
    provider = _read(line.config, told)
    with _lock:
        _known[line.config] = (clock.steady(), provider)
    return provider


def keys_of(line: Line, provider: Provider, *, anew: bool = False) -> Keys:
    """The provider's keys. `anew`: one is missing; they are read again unless that was just done. Raises Silent."""
    place = (line.config, provider.jwks)
    kept = _keys.get(place)
    if kept and clock.steady() - kept.read_at < (ANEW_AFTER if anew else REMEMBERED):
        return kept
    status, told = line.ask(provider.jwks)
    given = told.get("keys")
    if status != 200 or not isinstance(given, list):
        raise Silent(f"its keys are answered with {status}")
    keys = Keys(tuple(key for one in given[:MOST_KEYS] if (key := _key(one)) is not None), clock.steady())
    with _lock:
        _keys[place] = keys
    return keys


def _read(config: OidcConfig, told: dict[str, Any]) -> Provider:
    if told.get("issuer") != config.issuer:
        raise Silent(f"it names itself {str(told.get('issuer'))[:100]!r}, not {config.issuer!r}")
    loopback = config.issuer.startswith("http:")
    for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
        if not is_safe(told.get(name), loopback=loopback):
            raise Silent(f"its {name} is no address that is encrypted")
    userinfo = told.get("userinfo_endpoint")
    end_session = told.get("end_session_endpoint")
    ways = told.get("token_endpoint_auth_methods_supported")
    claims = told.get("claims_supported")
    return Provider(
        authorization=told["authorization_endpoint"],
        token=told["token_endpoint"],
        jwks=told["jwks_uri"],
        userinfo=userinfo if isinstance(userinfo, str) and is_safe(userinfo, loopback=loopback) else "",
        end_session=end_session if isinstance(end_session, str) and is_safe(end_session, loopback=loopback) else "",
        basic=not isinstance(ways, list) or "client_secret_basic" in ways,
        says_issuer=told.get("authorization_response_iss_parameter_supported") is True,
        claims=tuple(str(claim)[:100] for claim in claims[:100]) if isinstance(claims, list) else (),
    )


def _key(given: Any) -> JWK | None:
    """A public key that signs; None for what is none, or too short to be one."""
    if not isinstance(given, dict) or given.get("use", "sig") != "sig" or given.get("kty") not in ("RSA", "EC", "OKP"):
        return None
    try:
        key = JWK(**given)
        if key.get("kty") == "RSA" and key.get_op_key("verify").key_size < SMALLEST_RSA:
            return None
    except (JWException, ValueError, TypeError):
        return None
    return key
