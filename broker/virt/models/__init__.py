"""The nouns of the virtualization manager."""

from .affinity import AffinityGroup
from .agent import HostAgent
from .attachment import StorageAttachment
from .availability import FenceDevice, HaWatch, HostHealth, HostSign, Recovery, Verdict
from .batch import Batch
from .cluster import Cluster
from .device import DeviceUse, HostDevice
from .disk import Disk
from .export import DiskExport
from .floating_disk import DiskShare, FloatingDisk
from .host import Host
from .image import Image
from .image_source import ImageSource
from .instance_type import InstanceType
from .load import HostLoad, LoadMark, MachineLoad
from .machine import VirtualMachine
from .network import Guard, Network, Nic
from .observed import ForeignMachine, MonitorProcess, Sample
from .own import OwnField, Tag
from .pending import PendingChange
from .physical import PhysicalMachine
from .pki import Authority, HostCertificate, HostInvitation, SshKey
from .saved_search import SavedSearch
from .snapshot import Preview, SetAside, Snapshot, SnapshotDisk
from .storage import StorageDomain
from .template import TemplateVersion, VmTemplate

__all__ = [
    "AffinityGroup",
    "Authority",
    "Batch",
    "Cluster",
    "DeviceUse",
    "Disk",
    "DiskExport",
    "DiskShare",
    "FenceDevice",
    "FloatingDisk",
    "ForeignMachine",
    "Guard",
    "HaWatch",
    "Host",
    "HostAgent",
    "HostCertificate",
    "HostDevice",
    "HostHealth",
    "HostInvitation",
    "HostLoad",
    "HostSign",
    "Image",
    "ImageSource",
    "InstanceType",
    "LoadMark",
    "MachineLoad",
    "MonitorProcess",
    "Network",
    "Nic",
    "OwnField",
    "PendingChange",
    "PhysicalMachine",
    "Preview",
    "Recovery",
    "Sample",
    "SavedSearch",
    "SetAside",
    "Snapshot",
    "SnapshotDisk",
    "SshKey",
    "StorageAttachment",
    "StorageDomain",
    "Tag",
    "TemplateVersion",
    "Verdict",
    "VirtualMachine",
    "VmTemplate",
]
