"""How an enrolled host's libvirt is reached. Light: the library for certificates is loaded where one is needed."""

from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from broker.virt.models import Host, HostCertificate


def uri_of(host: Host) -> str:
    """The host's URI as libvirt gets it: with Berth's own certificate where the host has one of Berth's authority.

    Over SSH with Berth's own key; raises HostUnreachable where the host does not show the key it is known by.
    """
    if over_ssh(host.uri) and host.driver == "libvirt":
        from broker.virt.ssh.line import uri_of as by_ssh

        return by_ssh(host)
    parts = urlsplit(host.uri)
    words = dict(parse_qsl(parts.query))
    if not parts.scheme.endswith("+tls") or "pkipath" in words:
        return host.uri
    if not enrolled(host):
        return host.uri
    from .own import ensure

    return urlunsplit(parts._replace(query=urlencode({**words, "pkipath": str(ensure())}, safe="/")))


def over_ssh(uri: str) -> bool:
    """Whether libvirt would start `ssh` for this URI."""
    return urlsplit(uri).scheme.endswith("+ssh")


def enrolled(host: Host) -> bool:
    """Whether the host has a certificate of Berth's own authority, and with it an agent."""
    return HostCertificate.objects.filter(host=host).exists()
