"""Whether an ID token is good: signed by the provider, for Berth, now, and for the sign-in that was begun.

The rules are those of OpenID Connect Core 1.0, section 3.1.3.7. The signature is checked before anything is believed,
and with an algorithm of our choice alone: what the token says of its own key (jwk, jku, x5u) is not looked at.
"""

import json
import re
from typing import Any

from django.utils.crypto import constant_time_compare
from jwcrypto.common import JWException
from jwcrypto.jws import JWS

from broker.core import clock
from broker.directories.elsewhere import Untrue

from .line import Line
from .provider import FAMILIES, Provider, keys_of

LEEWAY = 60
"""Seconds by which the provider's clock may differ."""
LONGEST = 64 * 1024
SECOND_FACTORS = frozenset({"mfa", "otp", "hwk", "sc"})
"""Several factors, a one-time password, a key in hardware, a smart card: no password, no message by phone."""
_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")


def claims_of(line: Line, provider: Provider, token: Any, *, nonce: str) -> dict[str, Any]:
    """What a good ID token says. Raises Untrue, or Silent when keys cannot be had."""
    if not isinstance(token, str) or len(token) > LONGEST or not _COMPACT.fullmatch(token):
        raise Untrue("it is no signed token")
    claims = _signed(line, provider, token)
    config, now = line.config, clock.now().timestamp()
    if claims.get("iss") != config.issuer:
        raise Untrue("it is of another issuer")
    audience = claims.get("aud")
    audiences = [audience] if isinstance(audience, str) else audience
    if not isinstance(audiences, list) or config.client_id not in audiences:
        raise Untrue("it is for another client")
    if (len(audiences) > 1 or "azp" in claims) and claims.get("azp") != config.client_id:
        raise Untrue("it was given to another client")
    if not _number(claims.get("exp")) or now >= claims["exp"] + LEEWAY:
        raise Untrue("it is over")
    if not _number(claims.get("iat")) or claims["iat"] > now + LEEWAY:
        raise Untrue("it is of a time to come")
    if "nbf" in claims and (not _number(claims["nbf"]) or claims["nbf"] > now + LEEWAY):
        raise Untrue("it does not count yet")
    told = claims.get("nonce")
    if not isinstance(told, str) or not constant_time_compare(told, nonce):
        raise Untrue("it is of another sign-in")
    if not isinstance(claims.get("sub"), str) or not claims["sub"]:
        raise Untrue("it names nobody")
    return claims


def shows_second_factor(claims: dict[str, Any]) -> bool:
    """Whether an ID token says that more than a password was shown (amr, RFC 8176). Only what is signed counts."""
    told = claims.get("amr")
    return isinstance(told, list) and any(isinstance(one, str) and one in SECOND_FACTORS for one in told)


def _signed(line: Line, provider: Provider, token: str) -> dict[str, Any]:
    jws = JWS()
    jws.allowed_algs = list(FAMILIES)
    try:
        jws.deserialize(token)
        header = jws.jose_header
    except (JWException, ValueError, TypeError, RecursionError):
        raise Untrue("it cannot be read") from None
    family = FAMILIES.get(header.get("alg")) if isinstance(header.get("alg"), str) else None
    if family is None or "crit" in header:
        raise Untrue(f"it is signed by {str(header.get('alg'))[:20]!r}, which is not taken")
    kid = header.get("kid", "")
    if not isinstance(kid, str):
        raise Untrue("its key has no name that can be read")
    for anew in (False, True):
        for key in keys_of(line, provider, anew=anew).fitting(kid, family):
            try:
                jws.verify(key)
                claims = json.loads(jws.payload)
            except (JWException, ValueError, TypeError, RecursionError):
                continue
            if isinstance(claims, dict):
                return claims
    raise Untrue("no key of the provider's has signed it")


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e12
