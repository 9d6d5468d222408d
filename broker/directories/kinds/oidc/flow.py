"""One sign-in at a provider: the authorization code flow with PKCE, from the button to the user's row.

What was begun is kept in the browser's own session and taken out once: `state` says that this browser asked, `nonce`
that the token is of this sign-in, the verifier that nobody else can use the code (RFC 7636, RFC 9700).
"""

import base64
import hashlib
import logging
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import quote, urlencode

from django.utils.crypto import constant_time_compare

from broker.core.errors import BerthError
from broker.core.text import gettext_noop as N_
from broker.directories.elsewhere import Untrue, anew, down, let_in, not_believed, refused_there, unanswered
from broker.directories.https import Silent
from broker.directories.models import Directory, User
from broker.directories.secret import opened

from .config import OidcConfig, of_row
from .line import Line
from .person import at, groups_of, person_of
from .provider import Provider, provider_of
from .token import claims_of, shows_second_factor

log = logging.getLogger(__name__)
LONGEST_CODE = 4096


@dataclass(frozen=True)
class Begun:
    """What has to be known when the browser comes back."""

    state: str
    nonce: str
    verifier: str
    back: str

    def as_dict(self) -> dict[str, str]:
        return asdict(self)


def begin(directory: Directory, back: str) -> tuple[str, Begun]:
    """The provider's address to lead the browser to, and what to keep; `back` is the redirect URI, as registered.

    Raises Unavailable when the provider does not answer in time.
    """
    config = of_row(directory)
    try:
        provider = provider_of(Line(config))
    except Silent as error:
        raise down(directory, error) from None
    begun = Begun(secrets.token_urlsafe(32), secrets.token_urlsafe(32), secrets.token_urlsafe(48), back)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(begun.verifier.encode()).digest()).rstrip(b"=").decode()
    asked = {
        "response_type": "code", "client_id": config.client_id, "redirect_uri": back, "scope": config.scopes,
        "state": begun.state, "nonce": begun.nonce, "code_challenge": challenge, "code_challenge_method": "S256",
    }  # fmt: skip
    if config.acr_values:
        asked["acr_values"] = config.acr_values
    return provider.authorization + ("&" if "?" in provider.authorization else "?") + urlencode(asked), begun


def finish(directory: Directory, begun: Begun, told: Mapping[str, str]) -> User:
    """The user who comes back with `told`, the query of the address.

    Raises Denied when the provider lets nobody in or its word is not good, Conflict for a name that is somebody
    else's, Unavailable when it does not answer in time.
    """
    if not constant_time_compare(told.get("state", ""), begun.state):
        raise anew()
    config = of_row(directory)
    line = Line(config)
    try:
        provider = provider_of(line)
        if ("iss" in told or provider.says_issuer) and told.get("iss") != config.issuer:
            raise Untrue("the answer is of another issuer")
        if "error" in told:
            raise _refused_there(directory, told["error"])
        word, signed, claims = _claims(directory, line, provider, begun, told.get("code", ""))
        if config.acr_required and signed.get("acr") not in config.acr_values.split():
            raise refused_there(directory, N_("%(directory)s did not sign you in in a way that is accepted here."))
        person, groups = person_of(config, claims), groups_of(config, claims)
    except Silent as error:
        raise down(directory, error) from None
    except Untrue as error:
        raise not_believed(directory, error) from None
    user = let_in(directory, person, groups)
    met = config.trust_amr and shows_second_factor(signed)
    if user.factor_elsewhere != met:
        User.objects.filter(pk=user.pk).update(factor_elsewhere=met)
        user.factor_elsewhere = met
    user.signed_in_by = word
    return user


def sign_out_address(directory: Directory, word: str, back: str) -> str:
    """Where the browser signs out at the provider too (OpenID Connect RP-Initiated Logout 1.0); "" for nowhere.

    `word` is the ID token of the sign-in, "" when it was not kept; `back` an address registered there for it. Never
    raises: whoever signs out is signed out here, whatever the provider does.
    """
    try:
        config = of_row(directory)
        end = provider_of(Line(config)).end_session if config.sign_out_there else ""
    except (BerthError, Silent) as error:
        log.warning("%s: nobody can be signed out there: %s", directory, error)
        return ""
    if not end:
        return ""
    asked = {"client_id": config.client_id, "post_logout_redirect_uri": back}
    if word:
        asked["id_token_hint"] = word
    return end + ("&" if "?" in end else "?") + urlencode(asked)


def _claims(
    directory: Directory, line: Line, provider: Provider, begun: Begun, code: str
) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """The ID token, what it says, and that with what userinfo tells, which is asked where names are not in there."""
    if not 0 < len(code) <= LONGEST_CODE:
        raise Untrue("there is no code")
    answer = _exchange(line, provider, opened(directory), begun, code)
    claims = claims_of(line, provider, answer.get("id_token"), nonce=begun.nonce)
    config, access = line.config, answer.get("access_token")
    wanted = (config.username_claim, config.groups_claim)
    if all(at(claims, name) is not None for name in wanted) or not provider.userinfo or not isinstance(access, str):
        return answer["id_token"], claims, claims
    if not access.isascii() or not access.isprintable():
        raise Untrue("its access token cannot be sent")
    status, more = line.ask(provider.userinfo, headers={"Authorization": f"Bearer {access}"})
    if status != 200 or more.get("sub") != claims["sub"]:
        raise Untrue(f"userinfo is of somebody else, or refused ({status})")
    return answer["id_token"], claims, {**more, **claims}


def _exchange(line: Line, provider: Provider, secret: str, begun: Begun, code: str) -> dict[str, Any]:
    config: OidcConfig = line.config
    body = {
        "grant_type": "authorization_code", "code": code, "redirect_uri": begun.back, "code_verifier": begun.verifier,
    }  # fmt: skip
    headers = {}
    if secret and provider.basic:
        pair = f"{quote(config.client_id, safe='')}:{quote(secret, safe='')}"  # RFC 6749, section 2.3.1
        headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
    else:
        body |= {"client_id": config.client_id, **({"client_secret": secret} if secret else {})}
    status, answer = line.ask(provider.token, body=urlencode(body), headers=headers)
    if status >= 500:
        raise Silent(f"its token endpoint answers {status}")
    if status != 200:
        raise Untrue(f"the code is not taken ({status}): {str(answer.get('error'))[:60]!r}")
    return answer


_WORDS = {
    "access_denied": N_("%(directory)s did not let you in, or you cancelled it there."),
    "login_required": N_("%(directory)s wants you to sign in there first."),
    "interaction_required": N_("%(directory)s wants to ask you something first."),
    "consent_required": N_("%(directory)s wants your consent first."),
    "temporarily_unavailable": N_("%(directory)s cannot sign anybody in at the moment."),
    "server_error": N_("%(directory)s had a fault of its own."),
}
"""What the errors of RFC 6749 (4.1.2.1) and OpenID Connect Core (3.1.2.6) mean; nothing else is shown of them."""


def _refused_there(directory: Directory, error: str) -> BerthError:
    if error not in _WORDS:
        log.warning("%s: the provider refused a sign-in: %r", directory, error[:100])
    if error in ("temporarily_unavailable", "server_error"):
        return unanswered(directory, _WORDS[error])
    return refused_there(directory, _WORDS.get(error, N_("%(directory)s refused the sign-in.")))
