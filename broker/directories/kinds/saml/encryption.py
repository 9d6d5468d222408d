"""Open an encrypted assertion with our own key (XML Encryption 1.1): RSA-OAEP for the key, AES for the content.

AES-GCM notices every change. AES-CBC does not, and whoever may change and send again what is encrypted can find out
what is in it by the answers; so it is opened only where the provider has signed the answer around it. RSA PKCS#1 1.5
is refused for the like of that.
"""

import base64
import binascii
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from broker.directories.elsewhere import Untrue

from .xml import NAMES, Element, children, only, read, text_of

GCM = {
    "http://www.w3.org/2009/xmlenc11#aes128-gcm": 16, "http://www.w3.org/2009/xmlenc11#aes192-gcm": 24,
    "http://www.w3.org/2009/xmlenc11#aes256-gcm": 32,
}  # fmt: skip
CBC = {
    f"{NAMES['xenc']}aes128-cbc": 16, f"{NAMES['xenc']}aes192-cbc": 24, f"{NAMES['xenc']}aes256-cbc": 32,
}  # fmt: skip
OAEP_SHA1 = f"{NAMES['xenc']}rsa-oaep-mgf1p"
OAEP = "http://www.w3.org/2009/xmlenc11#rsa-oaep"
_DIGESTS: dict[str, Any] = {
    f"{NAMES['ds']}sha1": hashes.SHA1, f"{NAMES['xenc']}sha256": hashes.SHA256,
    "http://www.w3.org/2001/04/xmldsig-more#sha384": hashes.SHA384, f"{NAMES['xenc']}sha512": hashes.SHA512,
}  # fmt: skip
_MASKS: dict[str, Any] = {
    f"http://www.w3.org/2009/xmlenc11#mgf1{name}": kind
    for name, kind in (("sha1", hashes.SHA1), ("sha256", hashes.SHA256), ("sha384", hashes.SHA384),
                       ("sha512", hashes.SHA512))
}  # fmt: skip
MOST_KEYS = 4
NOT_OPENED = "what is encrypted in it cannot be opened with Berth's key"


def opened(encrypted: Element, key: rsa.RSAPrivateKey, *, vouched: bool) -> Element:
    """The assertion in a saml:EncryptedAssertion; `vouched`: what is around it is signed. Raises Untrue."""
    data = only(encrypted, "xenc:EncryptedData")
    method = only(data, "xenc:EncryptionMethod").get("Algorithm") or ""
    size = GCM.get(method) or CBC.get(method)
    if size is None or (method in CBC and not vouched):
        raise Untrue(f"it is encrypted by {method[:80]!r}, which is not taken here")
    secret = _secret(encrypted, key, size)
    content = _content(data)
    try:
        if method in GCM:
            return read(AESGCM(secret).decrypt(content[:12], content[12:], None))
        reader = Cipher(algorithms.AES(secret), modes.CBC(content[:16])).decryptor()
        plain = reader.update(content[16:]) + reader.finalize()
    except (InvalidTag, ValueError):
        raise Untrue(NOT_OPENED) from None
    # XML Encryption, section 5.2: the last byte says how many there are to fill the block; the others are any.
    if not plain or not 1 <= plain[-1] <= 16:
        raise Untrue(NOT_OPENED)
    return read(plain[: -plain[-1]])


def _secret(encrypted: Element, key: rsa.RSAPrivateKey, size: int) -> bytes:
    """The content's key: of those it was encrypted for, the one that is for us."""
    found = encrypted.findall(".//xenc:EncryptedKey", NAMES)
    for one in found[:MOST_KEYS]:
        method = only(one, "xenc:EncryptionMethod")
        try:
            secret = key.decrypt(_content(one), _oaep(method))
        except ValueError:
            continue
        if len(secret) == size:
            return secret
    raise Untrue(NOT_OPENED)


def _oaep(method: Element) -> padding.OAEP:
    way = method.get("Algorithm")
    if way not in (OAEP, OAEP_SHA1) or children(method, "xenc:OAEPparams"):
        raise Untrue(f"its key is encrypted by {str(way)[:80]!r}, which is not taken")
    digests = children(method, "ds:DigestMethod")
    masks = method.findall("{http://www.w3.org/2009/xmlenc11#}MGF") if way == OAEP else []
    digest = _DIGESTS.get(digests[0].get("Algorithm") or "") if digests else hashes.SHA1
    mask = _MASKS.get(masks[0].get("Algorithm") or "") if masks else hashes.SHA1
    if digest is None or mask is None:
        raise Untrue("its key is encrypted with a digest that is not taken")
    return padding.OAEP(padding.MGF1(mask()), digest(), None)


def _content(element: Element) -> bytes:
    text = text_of(only(only(element, "xenc:CipherData"), "xenc:CipherValue"))
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        raise Untrue(NOT_OPENED) from None
