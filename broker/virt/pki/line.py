"""How an enrolled host's libvirt is reached. Light: the library for certificates is loaded where one is needed."""

from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from broker.virt.models import Host, HostCertificate


def uri_of(host: Host) -> str:
    """The host's URI as libvirt gets it: with Berth's own certificate where the host has one of Berth's authority."""
    parts = urlsplit(host.uri)
    words = dict(parse_qsl(parts.query))
    if not parts.scheme.endswith("+tls") or "pkipath" in words:
        return host.uri
    if not HostCertificate.objects.filter(host=host).exists():
        return host.uri
    from .own import ensure

    return urlunsplit(parts._replace(query=urlencode({**words, "pkipath": str(ensure())}, safe="/")))
