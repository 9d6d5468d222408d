"""A machine's snapshots and checkpoints as a host knows them: saved, dropped and made known again.

libvirt refuses to migrate a machine with snapshots and leaves checkpoints behind; what matters of both lies in the
disk images and travels with them.
"""

import libvirt
from lxml import etree

from broker.virt.driver import SavedPoints
from broker.virt.drivers.libvirt.connection import Link
from broker.virt.drivers.libvirt.domain_xml.mapping import PARSER

_KNOW = libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_REDEFINE
_TOPOLOGICAL = libvirt.VIR_DOMAIN_SNAPSHOT_LIST_TOPOLOGICAL


class Remembering(Link):
    """What a host remembers of its machines' past."""

    def saved_points(self, uuid: str) -> SavedPoints:
        with self.calling():
            domain = self.domain(uuid)
            current = domain.snapshotCurrent().getName() if domain.hasCurrentSnapshot() else ""
            return SavedPoints(
                snapshots=tuple(
                    snapshot.getXMLDesc(libvirt.VIR_DOMAIN_SNAPSHOT_XML_SECURE)
                    for snapshot in domain.listAllSnapshots(_TOPOLOGICAL)
                ),
                current=current,
                checkpoints=tuple(
                    checkpoint.getXMLDesc(libvirt.VIR_DOMAIN_CHECKPOINT_XML_NO_DOMAIN)
                    for checkpoint in domain.listAllCheckpoints(libvirt.VIR_DOMAIN_CHECKPOINT_LIST_TOPOLOGICAL)
                ),
            )

    def forget_points(self, uuid: str) -> None:
        with self.calling():
            domain = self.domain(uuid)
            for snapshot in domain.listAllSnapshots(0):
                snapshot.delete(libvirt.VIR_DOMAIN_SNAPSHOT_DELETE_METADATA_ONLY)
            for checkpoint in domain.listAllCheckpoints(0):
                checkpoint.delete(libvirt.VIR_DOMAIN_CHECKPOINT_DELETE_METADATA_ONLY)

    def restore_points(self, uuid: str, points: SavedPoints) -> None:
        with self.calling():
            domain = self.domain(uuid)
            known = {snapshot.getName() for snapshot in domain.listAllSnapshots(0)}
            for text in points.snapshots:
                name = _name(text)
                if name not in known:
                    current = libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_CURRENT if name == points.current else 0
                    domain.snapshotCreateXML(text, _KNOW | current)
            known = {checkpoint.getName() for checkpoint in domain.listAllCheckpoints(0)}
            for text in points.checkpoints:
                if _name(text) not in known:
                    domain.checkpointCreateXML(text, libvirt.VIR_DOMAIN_CHECKPOINT_CREATE_REDEFINE)


def _name(text: str) -> str:
    return str(etree.fromstring(text, PARSER).findtext("name", ""))
