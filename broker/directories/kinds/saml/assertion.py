"""Whether an answer is good: signed by the provider, for Berth, now, and asked for; and what it says of the person.

The rules are those of the Web Browser SSO Profile (SAML V2.0 Profiles, section 4.1.4). Nothing is read but what is
signed, save the answer's outer shell, whose word only ever refuses. That an answer counts once is answers.py's.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import rsa
from lxml import etree

from broker.core import clock
from broker.directories.elsewhere import Untrue

from .config import SamlConfig
from .encryption import opened
from .metadata import PERSISTENT, Provider
from .signature import has_signature, signed
from .xml import ASSERTION, Element, children, moment, only, tag, text_of

LEEWAY = 60
"""Seconds by which the provider's clock may differ."""
BEARER = "urn:oasis:names:tc:SAML:2.0:cm:bearer"
SUCCESS = "urn:oasis:names:tc:SAML:2.0:status:Success"
MOST_VALUES = 1000
LONGEST_LIFE = 24 * 3600
"""Seconds: an answer that may be brought along for longer would have to be remembered for longer."""


@dataclass(frozen=True)
class Expected:
    """Who Berth is to this provider: its id there, and the addresses that answers may be for."""

    entity_id: str
    back: Collection[str]


@dataclass(frozen=True)
class Said:
    """`id`, `until`: of the assertion, and when it is over (seconds since 1970); `request`, `back`: what it answers."""

    id: str
    until: float
    request: str
    back: str
    subject: str
    attributes: dict[str, list[str]]


def status_of(response: Element) -> tuple[str, str]:
    """The answer's first and second status code. Raises Untrue."""
    first = only(only(response, "samlp:Status"), "samlp:StatusCode")
    second = children(first, "samlp:StatusCode")
    return first.get("Value") or "", (second[0].get("Value") or "") if second else ""


def said(response: Element, config: SamlConfig, provider: Provider, expected: Expected, key: rsa.RSAPrivateKey) -> Said:
    """What a good answer says. Raises Untrue."""
    if response.tag != tag("samlp:Response") or response.get("Version") != "2.0":
        raise Untrue("it is no answer of SAML 2.0")
    whole = has_signature(response)
    if whole:
        response = signed(response, provider.certificates)
    _check_shell(response, provider, expected, whole)
    assertion = _assertion(response, config, provider, key, whole)
    if assertion.get("Version") != "2.0" or not assertion.get("ID"):
        raise Untrue("it has no assertion of SAML 2.0")
    _check_issuer(only(assertion, "saml:Issuer"), provider)
    now = clock.now().timestamp()
    issued = moment(assertion.get("IssueInstant"))
    if issued is None or issued > now + LEEWAY:
        raise Untrue("it is of a time to come")
    _check_conditions(only(assertion, "saml:Conditions"), expected, now)
    _check_statements(children(assertion, "saml:AuthnStatement"), now)
    subject = only(assertion, "saml:Subject")
    until, request, back = _confirmed(subject, expected, now)
    if response.get("InResponseTo") != request:
        raise Untrue("it answers one thing outside and another inside")
    attributes = _attributes(assertion)
    who = _name_id(subject, provider, expected) if not config.id_attribute else one_of(attributes, config.id_attribute)
    return Said(assertion.get("ID") or "", until, request, back, who, attributes)


def one_of(attributes: dict[str, list[str]], name: str) -> str:
    """The attribute's value, "" for none. Raises Untrue for several: which of them would it be?"""
    values = attributes.get(name, [])
    if len(values) > 1:
        raise Untrue(f"it says several things of {name}")
    return values[0] if values else ""


def _check_shell(response: Element, provider: Provider, expected: Expected, whole: bool) -> None:
    place = response.get("Destination")
    if place not in expected.back and (whole or place is not None):
        raise Untrue("it is for another address")
    for issuer in children(response, "saml:Issuer"):
        _check_issuer(issuer, provider)
    issued = moment(response.get("IssueInstant"))
    if issued is None or issued > clock.now().timestamp() + LEEWAY:
        raise Untrue("it is of a time to come")
    if status_of(response)[0] != SUCCESS:
        raise Untrue("it is of no success")


def _assertion(
    response: Element, config: SamlConfig, provider: Provider, key: rsa.RSAPrivateKey, whole: bool
) -> Element:
    """The answer's one assertion, signed by itself or with all of the answer."""
    plain, sealed = children(response, "saml:Assertion"), children(response, "saml:EncryptedAssertion")
    anywhere = [one for name in ("Assertion", "EncryptedAssertion") for one in response.iter(f"{{{ASSERTION}}}{name}")]
    if len(plain) + len(sealed) != 1 or len(anywhere) != 1:
        raise Untrue(f"it has {len(anywhere)} assertions, not one")
    if plain and config.encrypted:
        raise Untrue("its assertion is not encrypted")
    assertion = plain[0] if plain else opened(sealed[0], key, vouched=whole)
    if assertion.tag != tag("saml:Assertion"):
        raise Untrue("what is encrypted in it is no assertion")
    if has_signature(assertion):
        return signed(assertion, provider.certificates)
    if not whole:
        raise Untrue("it is not signed")
    return assertion


def _check_issuer(issuer: Element, provider: Provider) -> None:
    if text_of(issuer) != provider.entity_id:
        raise Untrue("it is of another issuer")


def _check_conditions(conditions: Element, expected: Expected, now: float) -> None:
    before, until = moment(conditions.get("NotBefore")), moment(conditions.get("NotOnOrAfter"))
    if before is not None and before > now + LEEWAY:
        raise Untrue("it does not count yet")
    if until is not None and until + LEEWAY <= now:
        raise Untrue("it is over")
    known = {tag(f"saml:{name}") for name in ("AudienceRestriction", "OneTimeUse", "ProxyRestriction")}
    if any(one.tag not in known for one in conditions):
        raise Untrue("it has a condition that Berth does not know")
    audiences = children(conditions, "saml:AudienceRestriction")
    fits = [any(text_of(one) == expected.entity_id for one in children(each, "saml:Audience")) for each in audiences]
    if not fits or not all(fits):
        raise Untrue("it is for another audience")


def _check_statements(statements: Sequence[Element], now: float) -> None:
    if not statements:
        raise Untrue("it does not say that anybody signed in")
    for one in statements:
        at, until = moment(one.get("AuthnInstant")), moment(one.get("SessionNotOnOrAfter"))
        if at is None or at > now + LEEWAY:
            raise Untrue("its sign-in is of a time to come")
        if until is not None and until + LEEWAY <= now:
            raise Untrue("its sign-in is over")


def _confirmed(subject: Element, expected: Expected, now: float) -> tuple[float, str, str]:
    """Until when, to which request and at which address whoever brings it along is its subject."""
    for one in children(subject, "saml:SubjectConfirmation"):
        data = children(one, "saml:SubjectConfirmationData")
        if one.get("Method") != BEARER or len(data) != 1:
            continue
        until, back = moment(data[0].get("NotOnOrAfter")), data[0].get("Recipient")
        request = data[0].get("InResponseTo")
        if until is None or data[0].get("NotBefore") is not None:
            raise Untrue("it does not say until when it may be brought along")
        if until + LEEWAY <= now:
            raise Untrue("it is over")
        if until > now + LONGEST_LIFE:
            raise Untrue("it may be brought along for longer than a day")
        if back is None or back not in expected.back:
            raise Untrue("it is for another address")
        if not request:
            raise Untrue("nobody asked for it")
        return until, request, back
    raise Untrue("it is for nobody who could bring it along")


def _name_id(subject: Element, provider: Provider, expected: Expected) -> str:
    name = only(subject, "saml:NameID")
    if name.get("Format") != PERSISTENT:
        raise Untrue("its NameID is not persistent, and no attribute is set as the id")
    if name.get("NameQualifier", provider.entity_id) != provider.entity_id:
        raise Untrue("its NameID is another provider's")
    if name.get("SPNameQualifier", expected.entity_id) != expected.entity_id:
        raise Untrue("its NameID is for somebody else")
    return text_of(name)


def _attributes(assertion: Element) -> dict[str, list[str]]:
    """Values by Name, and by FriendlyName where no attribute has that as its Name."""
    names: dict[str, list[str]] = {}
    friendly: dict[str, list[str]] = {}
    for statement in children(assertion, "saml:AttributeStatement"):
        for one in children(statement, "saml:Attribute"):
            values = [_value(value) for value in children(one, "saml:AttributeValue")[: MOST_VALUES + 1]]
            names.setdefault(one.get("Name") or "", []).extend(values)
            if called := one.get("FriendlyName"):
                friendly.setdefault(called, []).extend(values)
    return friendly | names


def _value(element: Element) -> str:
    """A text, or the NameID in it, as with eduPersonTargetedID."""
    inner = [one for one in element if isinstance(one.tag, str)]
    if len(inner) == 1 and len(element) == 1 and etree.QName(inner[0]).localname == "NameID":
        return text_of(inner[0])
    return text_of(element)
