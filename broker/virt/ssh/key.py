"""Berth's own SSH key: one pair, made when it is first asked for; the private half is sealed in the database."""

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from broker.core.errors import Unavailable
from broker.core.sealing import CannotOpen, Sealer
from broker.core.text import gettext_noop as N_
from broker.virt.models import SshKey

_SEALER = Sealer("ssh key")


def public_key() -> str:
    """The line for `authorized_keys` of the account on a host that Berth is to use."""
    return _row().public


def private_key() -> str:
    """As OpenSSH reads it. Raises Unavailable when the secret key is not the one it was sealed with."""
    try:
        return _SEALER.open(_row().secret)
    except CannotOpen as error:
        raise Unavailable(
            N_("The SSH key cannot be read: Berth's secret key is another one."),
            rule="ssh.key",
            fix=N_("Start Berth with the secret key that it had when the key was made."),
        ) from error


def _row() -> SshKey:
    """The one there is. Of two that make it at once, one counts."""
    found = SshKey.objects.filter(pk=1).first()
    if found is not None:
        return found
    key = Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    defaults = {"public": f"{public.decode()} berth", "secret": _SEALER.seal(private.decode())}
    return SshKey.objects.get_or_create(pk=1, defaults=defaults)[0]
