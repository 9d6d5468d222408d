"""The libvirt driver: QEMU and KVM through libvirtd, on this machine or another.

URIs are libvirt's own: qemu:///system, qemu+unix:///system?socket=…, qemu+tls://host/system,
qemu+ssh://host/system.
"""

from broker.virt.driver import HostConnection

name = "libvirt"


def connect(uri: str, *, timeout: float = 5.0) -> HostConnection:
    """Open a connection within `timeout` seconds. Raises HostUnreachable; Invalid for a URI of another kind."""
    from broker.virt.drivers.libvirt.host import LibvirtHost  # needs libvirt, which not every process has

    return LibvirtHost.open(uri, timeout=timeout)
