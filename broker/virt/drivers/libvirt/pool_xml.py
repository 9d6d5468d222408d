"""The libvirt definitions of storages. Source: libvirt's formatstorage page, “netfs” and “dir” pools."""

from lxml import etree

from broker.virt.driver import StorageSpec
from broker.virt.drivers.libvirt.domain_xml.mapping import PARSER

FS = "http://libvirt.org/schemas/storagepool/fs/1.0"
# A server that goes away must end in an error that pauses the machine, not in a process that cannot be killed.
# Tenths of a second and tries: about a minute in all.
NFS_OPTIONS = ("soft", "timeo=100", "retrans=3")


def mount_options(spec: StorageSpec) -> tuple[str, ...]:
    """With a mount of its own for each share: two with one mount would have the options of the first."""
    return (*(spec.mount or NFS_OPTIONS), "nosharecache")


def told_options(xml: str) -> tuple[str, ...]:
    """Of a definition, in its order."""
    return tuple(node.get("name", "") for node in etree.fromstring(xml, PARSER).iter(f"{{{FS}}}option"))


def pool_xml(spec: StorageSpec) -> str:
    """The definition of a storage. The directory lets QEMU through to files whose names it knows."""
    nfs = spec.kind == "nfs"
    root = etree.Element("pool", type="netfs" if nfs else "dir", nsmap={"fs": FS} if nfs else None)
    etree.SubElement(root, "name").text = spec.name
    if nfs:
        source = etree.SubElement(root, "source")
        etree.SubElement(source, "host", name=spec.server)
        etree.SubElement(source, "dir", path=spec.export)
        etree.SubElement(source, "format", type="nfs")
        if spec.version:
            etree.SubElement(source, "protocol", ver=spec.version)
    target = etree.SubElement(root, "target")
    etree.SubElement(target, "path").text = spec.path
    if nfs:
        options = etree.SubElement(root, f"{{{FS}}}mount_opts")
        for option in mount_options(spec):
            etree.SubElement(options, f"{{{FS}}}option", name=option)
    else:
        etree.SubElement(etree.SubElement(target, "permissions"), "mode").text = "0711"
    return str(etree.tostring(root, encoding="unicode"))
