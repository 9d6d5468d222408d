"""Whether an element is signed by the provider: then what was signed, and nothing beside it, is handed on.

Signatures are signxml's to check. What it returns is made of the very bytes that were digested, so an assertion that is
wrapped around, beside or inside a signed one is never read. Keys are those of the metadata: certificates are taken as
containers of keys (SAML V2.0 Metadata Interoperability Profile), and what a signature brings along is not looked at.
"""

from collections.abc import Sequence

from cryptography.x509 import Certificate
from lxml import etree
from signxml.algorithms import DigestAlgorithm, SignatureMethod
from signxml.exceptions import SignXMLException
from signxml.verifier import SignatureConfiguration, VerifyResult, XMLVerifier

from broker.directories.elsewhere import Untrue

from .xml import Element, alone, children, only, tag

METHODS = frozenset({
    SignatureMethod.RSA_SHA256, SignatureMethod.RSA_SHA384, SignatureMethod.RSA_SHA512,
    SignatureMethod.SHA256_RSA_MGF1, SignatureMethod.SHA384_RSA_MGF1, SignatureMethod.SHA512_RSA_MGF1,
    SignatureMethod.ECDSA_SHA256, SignatureMethod.ECDSA_SHA384, SignatureMethod.ECDSA_SHA512,
})  # fmt: skip
DIGESTS = frozenset({DigestAlgorithm.SHA256, DigestAlgorithm.SHA384, DigestAlgorithm.SHA512})
EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#"
TRANSFORMS = frozenset({"http://www.w3.org/2000/09/xmldsig#enveloped-signature", EXCLUSIVE, f"{EXCLUSIVE}WithComments"})
"""All that SAML allows in a signature (core, section 5.4.4)."""


class UnknownKey(Untrue):
    """No key of the metadata has signed it: perhaps one that came after the metadata was read."""


def has_signature(element: Element) -> bool:
    """Whether a signature of this very element is on it."""
    return bool(children(element, "ds:Signature"))


def signed(element: Element, certificates: Sequence[Certificate]) -> Element:
    """What the provider signed of `element`, which has its signature as a child. Raises Untrue."""
    whole = alone(element)
    id = whole.get("ID") or ""
    info = only(only(whole, "ds:Signature"), "ds:SignedInfo")
    reference = only(info, "ds:Reference")
    if not id or reference.get("URI") != f"#{id}":
        raise Untrue("its signature is of something else")
    used = [one.get("Algorithm") for group in children(reference, "ds:Transforms") for one in group]
    if not TRANSFORMS.issuperset(used) or len(used) > 2 or len(whole.xpath("//*[@ID=$id]", id=id)) != 1:
        raise Untrue("its signature is not as SAML has it")
    for certificate in certificates:
        found = _by(whole, certificate)
        if found is not None and found.tag == whole.tag and found.get("ID") == id:
            return found
    raise UnknownKey("no key of the provider's has signed it")


def _by(whole: Element, certificate: Certificate) -> Element | None:
    rules = SignatureConfiguration(
        location="./", signature_methods=METHODS, digest_algorithms=DIGESTS, ignore_ambiguous_key_info=True,
        verification_time=certificate.not_valid_before_utc,
    )  # fmt: skip
    try:
        result = XMLVerifier().verify(whole, x509_cert=certificate, expect_config=rules, id_attribute="ID")
    except (SignXMLException, etree.LxmlError, ValueError, TypeError, KeyError, AttributeError):
        return None  # another of the keys may fit
    tree = result.signed_xml if isinstance(result, VerifyResult) else None
    if tree is None or any(one.tag == tag("ds:Signature") for one in tree.iterchildren()):
        return None
    return tree
