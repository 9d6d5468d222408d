"""CDs of machines that run: put in and taken out without asking the guest, which may have locked its drive."""

import libvirt

from broker.virt.drivers import names
from broker.virt.drivers.libvirt.connection import Link
from broker.virt.drivers.libvirt.domain_xml.machine import Machine


class Changer(Link):
    """The CD drives of a host's machines."""

    def change_cd(self, uuid: str, target: str, path: str) -> bool:
        if path:
            names.check_path(path)
        with self.calling():
            domain = self.domain(uuid)
            if not domain.isActive():
                return True
            drives = [disk for disk in Machine.parse(domain.XMLDesc()).disks if disk.device == "cdrom"]
            drive = next((disk for disk in drives if disk.target == target), None)
            if drive is None:
                return not path
            if (drive.path or "") != path:
                drive.path = path or None
                drive.forget_below()
                flags = libvirt.VIR_DOMAIN_AFFECT_LIVE | libvirt.VIR_DOMAIN_DEVICE_MODIFY_FORCE
                domain.updateDeviceFlags(drive.xml(), flags)
            return True
