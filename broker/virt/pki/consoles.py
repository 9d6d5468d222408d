"""The certificate that gateways show to native clients: of Berth's own authority, and the same name on all of them.

Each machine that a gateway runs on makes its own key. A client is told the authority and the name in its file, so no
public authority and no name of the site comes into it.
"""

import fcntl
import ssl
from pathlib import Path

from django.conf import settings

from .authority import authority, issue, request_for
from .own import good, write

NAME = "consoles.berth.invalid"
SUBJECT = f"O=Berth,CN={NAME}"


def server_context() -> ssl.SSLContext:
    """What a gateway speaks TLS with. Raises Unavailable when the authority's key cannot be read."""
    folder = Path(settings.DATA_DIR) / "pki" / "consoles"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    key, certificate = folder / "key.pem", folder / "cert.pem"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not good(folder / "ca.pem", certificate, key, authority().certificate):
            made, asked = request_for(NAME)
            issued = issue(asked, name=NAME, organization="Berth")
            for path, text in ((key, made), (certificate, issued.certificate), (folder / "ca.pem", issued.authority)):
                write(path, text)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(certificate, key)
    return context
