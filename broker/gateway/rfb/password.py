"""VNC authentication (RFC 6143, section 7.2.2): a challenge, encrypted by DES with the password for its key.

As weak as it is old, it is what VNC servers of PCs have; the password stays between the gateway and the PC.
The library is loaded with the first password: most gateways see none.
"""

CHALLENGE = 16  # bytes


def response(password: str, challenge: bytes) -> bytes:
    """What answers `challenge`. The key's bytes are used with their bits reversed, as all VNC servers do."""
    from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
    from cryptography.hazmat.primitives.ciphers import Cipher, modes

    key = bytes(int(f"{byte:08b}"[::-1], 2) for byte in password.encode("latin-1", "replace")[:8].ljust(8, b"\0"))
    # Three times the same key is DES.
    encryptor = Cipher(TripleDES(key * 3), modes.ECB()).encryptor()  # noqa: S305 - the protocol's own
    return encryptor.update(challenge) + encryptor.finalize()
