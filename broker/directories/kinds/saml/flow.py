"""One sign-in at a provider: the Web Browser SSO Profile, from the button to the user's row.

Out by the redirect binding, with a signed request; back by a POST of the provider's page. That POST comes from another
site, so it brings no session of ours along (SameSite=Lax), and says by itself only what the provider says. So what it
says is checked and kept (answers.py), and the browser is led on to an address of ours, where its session does come
along: there it counts if this browser sent the request that it answers, and only once.
"""

import base64
import binascii
import secrets
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC
from typing import Any
from urllib.parse import urlencode

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from django.utils.crypto import constant_time_compare
from lxml import etree

from broker.core import clock
from broker.core.text import gettext_noop as N_
from broker.directories.elsewhere import (
    Untrue,
    anew,
    down,
    groups_of,
    let_in,
    not_believed,
    person_of,
    refused_there,
    unanswered,
)
from broker.directories.https import Silent
from broker.directories.models import Directory, User

from . import answers
from .assertion import SUCCESS, Expected, Said, one_of, said, status_of
from .config import SamlConfig, of_row
from .metadata import PERSISTENT, POST, Provider, provider_of
from .own_key import OwnKey, own_key
from .signature import UnknownKey
from .xml import ASSERTION, PROTOCOL, Element, read, tag

RSA_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
LONGEST_ANSWER = 512 * 1024
"""Of what is posted, in base64."""


@dataclass(frozen=True)
class Begun:
    """What has to be known when the browser comes back: the request's id, and the address its answer is for."""

    state: str
    back: str

    def as_dict(self) -> dict[str, str]:
        return asdict(self)


def begin(directory: Directory, back: str, entity_id: str) -> tuple[str, Begun]:
    """The provider's address to lead the browser to, and what to keep. Raises Unavailable when it cannot be used."""
    config = of_row(directory)
    own = own_key(directory)
    try:
        provider = provider_of(config)
    except Silent as error:
        raise down(directory, error) from None
    begun = Begun(f"_{secrets.token_hex(20)}", back)
    request = _request(config, provider, begun, entity_id)
    packed = zlib.compressobj(9, zlib.DEFLATED, -15)
    text = base64.b64encode(packed.compress(request) + packed.flush()).decode()
    # What is signed is the query as it is sent (SAML V2.0 Bindings, section 3.4.4.1); there is no RelayState.
    query = urlencode({"SAMLRequest": text, "SigAlg": RSA_SHA256})
    proof = base64.b64encode(own.key.sign(query.encode(), padding.PKCS1v15(), hashes.SHA256())).decode()
    query += "&" + urlencode({"Signature": proof})
    return provider.sign_in + ("&" if "?" in provider.sign_in else "?") + query, begun


def receive(directory: Directory, posted: str, expected: Expected) -> dict[str, str]:
    """Check and keep what was posted; returns what the browser has to bring along to finish().

    Raises Denied when the provider lets nobody in, its word is not good or was used before, Unavailable when it cannot
    be asked for its keys in time.
    """
    config = of_row(directory)
    own = own_key(directory)
    try:
        response = _read(posted)
        code, detail = status_of(response)
        if code != SUCCESS:
            raise _refused_there(directory, code, detail)
        told, provider = _said(response, config, expected, own)
        person = person_of(
            provider.entity_id,
            told.subject,
            one_of(told.attributes, config.username_attribute),
            one_of(told.attributes, config.name_attribute),
            (told.attributes.get(config.mail_attribute) or [""])[0],
        )
        groups = groups_of(told.attributes.get(config.groups_attribute))
    except Silent as error:
        raise down(directory, error) from None
    except Untrue as error:
        raise not_believed(directory, error) from None
    ticket = answers.keep(directory, provider.entity_id, told, person, groups)
    if ticket is None:
        raise anew()
    return {"state": told.request, "answer": ticket}


def finish(directory: Directory, begun: Begun, told: Mapping[str, str]) -> User:
    """The user whose answer was received, in the browser that sent the request.

    Raises Denied when it is no answer to that, or was used; Conflict for a name that is somebody else's.
    """
    answer = answers.take(directory, told.get("answer", ""))
    if answer is None or not constant_time_compare(answer.request, begun.state) or answer.back != begun.back:
        raise anew()
    return let_in(directory, answer.person, answer.groups)


def _request(config: SamlConfig, provider: Provider, begun: Begun, entity_id: str) -> bytes:
    root = etree.Element(
        tag("samlp:AuthnRequest"), nsmap={"samlp": PROTOCOL, "saml": ASSERTION}, ID=begun.state, Version="2.0",
        IssueInstant=clock.now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), Destination=provider.sign_in,
        AssertionConsumerServiceURL=begun.back, ProtocolBinding=POST,
    )  # fmt: skip
    etree.SubElement(root, tag("saml:Issuer")).text = entity_id
    if not config.id_attribute:
        etree.SubElement(root, tag("samlp:NameIDPolicy"), Format=PERSISTENT, AllowCreate="true")
    return bytes(etree.tostring(root))


def _read(posted: str) -> Element:
    if len(posted) > LONGEST_ANSWER:
        raise Untrue("it is longer than any answer")
    try:
        content = base64.b64decode("".join(posted.split()), validate=True)
    except (binascii.Error, ValueError):
        raise Untrue("it is no base64") from None
    response = read(content)
    if response.tag != tag("samlp:Response"):
        raise Untrue("it is no answer of SAML 2.0")
    return response


def _said(response: Element, config: SamlConfig, expected: Expected, own: OwnKey) -> tuple[Said, Provider]:
    provider = provider_of(config)
    try:
        return said(response, config, provider, expected, own.key), provider
    except UnknownKey:
        fresh = provider_of(config, anew=True)
        if fresh is provider:
            raise
        return said(response, config, fresh, expected, own.key), fresh


_STATUS = "urn:oasis:names:tc:SAML:2.0:status:"
_WORDS = {
    "AuthnFailed": N_("%(directory)s did not let you in, or you cancelled it there."),
    "RequestDenied": N_("%(directory)s did not let you in, or you cancelled it there."),
    "NoPassive": N_("%(directory)s wants you to sign in there first."),
}
"""What second codes of SAML V2.0 Core (section 3.2.2.2) mean; nothing else is shown of them."""


def _refused_there(directory: Directory, code: str, detail: str) -> Any:
    if code == f"{_STATUS}Responder" and not detail:
        return unanswered(directory, N_("%(directory)s had a fault of its own."))
    words = _WORDS.get(detail.removeprefix(_STATUS), N_("%(directory)s refused the sign-in."))
    return refused_there(directory, words)
