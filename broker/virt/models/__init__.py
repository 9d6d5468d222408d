"""The nouns of the virtualization manager."""

from .affinity import AffinityGroup
from .agent import HostAgent
from .attachment import StorageAttachment
from .availability import FenceDevice, HaWatch, HostHealth, HostSign, Recovery, Verdict
from .cluster import Cluster
from .disk import Disk
from .host import Host
from .image import Image
from .machine import VirtualMachine
from .network import Network, Nic
from .observed import ForeignMachine, MonitorProcess, Sample
from .pki import Authority, HostCertificate, HostInvitation
from .snapshot import Snapshot, SnapshotDisk
from .storage import StorageDomain
from .template import TemplateVersion, VmTemplate

__all__ = [
    "AffinityGroup",
    "Authority",
    "Cluster",
    "Disk",
    "FenceDevice",
    "ForeignMachine",
    "HaWatch",
    "Host",
    "HostAgent",
    "HostCertificate",
    "HostHealth",
    "HostInvitation",
    "HostSign",
    "Image",
    "MonitorProcess",
    "Network",
    "Nic",
    "Recovery",
    "Sample",
    "Snapshot",
    "SnapshotDisk",
    "StorageAttachment",
    "StorageDomain",
    "TemplateVersion",
    "Verdict",
    "VirtualMachine",
    "VmTemplate",
]
