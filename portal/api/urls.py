"""The addresses of the API, below /api/v1/. Names begin with "api-"."""

from django.urls import URLPattern, URLResolver, path, re_path
from rest_framework.routers import SimpleRouter

from .base import NotFound
from .schema import Docs, Schema
from .views.access import Quotas, Rights
from .views.availability import Availability, ConfirmRebooted, Fence, FenceDevices, Verdicts
from .views.backups import Backups, BackupSchedules, BackupTargets
from .views.bookings import Bookings, FreeTimes, PoolBookingRules
from .views.chain import Chain, VerifyChain
from .views.changes import Nics
from .views.console_policy import MachinePolicy, PoolPolicy
from .views.devices import HostDevices, VmDevices
from .views.directories import Directories, DirectoryPreview
from .views.disks import Disks, Snapshots
from .views.enrol import InviteHost
from .views.explain import ExplainAllocation, ExplainStart
from .views.exports import DiskExports
from .views.floating import FloatingDisks
from .views.image_sources import FetchImage, ImageSources
from .views.images import ImageData, Images
from .views.instance_types import InstanceTypes
from .views.jobs import Events, Jobs
from .views.loads import HostLoads, MachineLoads
from .views.luns import IscsiLuns
from .views.meta_pools import ExplainMetaAllocation, MetaEntitlements, MetaPools
from .views.people import Grants, Groups, Me, Roles, Tokens, Users
from .views.physical_machines import PhysicalMachines
from .views.placement import AffinityGroups, Balance, WhatIf
from .views.pools import Desktops, Entitlements, Pools
from .views.recordings import Recordings
from .views.screens import RdpFile, Screen, ViewerFile
from .views.searches import Batches, SavedSearches
from .views.session_rules import Bulk, Rules
from .views.sessions import Helps, Messages, Sessions, Shares
from .views.shared_disks import SharedDisks
from .views.ssh_key import HostSshKey
from .views.storage import StorageDomains
from .views.subscriptions import Subscriptions
from .views.timing import SetGoal, TimeToDesktop
from .views.virt import Clusters, ForeignMachines, Hosts, Networks, Templates, TemplateVersions
from .views.vms import Samples, Vms

router = SimpleRouter(use_regex_path=False)
for prefix, viewset in {
    "pools": Pools,
    "pools/<uuid:pool_pk>/entitlements": Entitlements,
    "pools/<uuid:pool_pk>/bookings": Bookings,
    "meta-pools": MetaPools,
    "desktops": Desktops,
    "vms": Vms,
    "vms/<uuid:vm_pk>/samples": Samples,
    "vms/<uuid:vm_pk>/disks": Disks,
    "vms/<uuid:vm_pk>/shared-disks": SharedDisks,
    "vms/<uuid:vm_pk>/exports": DiskExports,
    "vms/<uuid:vm_pk>/nics": Nics,
    "vms/<uuid:vm_pk>/host-devices": VmDevices,
    "vms/<uuid:vm_pk>/snapshots": Snapshots,
    "saved-searches": SavedSearches,
    "batches": Batches,
    "templates": Templates,
    "template-versions": TemplateVersions,
    "hosts": Hosts,
    "hosts/<uuid:host_pk>/foreign-machines": ForeignMachines,
    "hosts/<uuid:host_pk>/fence-devices": FenceDevices,
    "hosts/<uuid:host_pk>/devices": HostDevices,
    "hosts/<uuid:host_pk>/verdicts": Verdicts,
    "storage-domains": StorageDomains,
    "floating-disks": FloatingDisks,
    "images": Images,
    "image-sources": ImageSources,
    "instance-types": InstanceTypes,
    "backups": Backups,
    "backup-targets": BackupTargets,
    "backup-schedules": BackupSchedules,
    "networks": Networks,
    "physical-machines": PhysicalMachines,
    "clusters": Clusters,
    "affinity-groups": AffinityGroups,
    "sessions": Sessions,
    "helps": Helps,
    "shares": Shares,
    "recordings": Recordings,
    "messages": Messages,
    "jobs": Jobs,
    "events": Events,
    "subscriptions": Subscriptions,
    "directories": Directories,
    "users": Users,
    "groups": Groups,
    "roles": Roles,
    "grants": Grants,
    "quotas": Quotas,
    "tokens": Tokens,
}.items():
    router.register(prefix, viewset, basename=f"api-{prefix.rpartition('/')[2].removesuffix('s')}")
router.register("meta-pools/<uuid:pool_pk>/entitlements", MetaEntitlements, basename="api-meta-entitlement")

urlpatterns: list[URLPattern | URLResolver] = [
    path("schema/", Schema.as_view(), name="api-schema"),
    path("docs/", Docs.as_view(url_name="api-schema"), name="api-docs"),
    path("me/", Me.as_view(), name="api-me"),
    path("directories/preview/", DirectoryPreview.as_view(), name="api-directory-preview"),
    path("users/<uuid:pk>/rights/", Rights.as_view(), name="api-rights"),
    path("images/fetch/", FetchImage.as_view(), name="api-image-fetch"),
    path("images/<uuid:pk>/data/", ImageData.as_view(), name="api-image-data"),
    path("vms/<uuid:pk>/loads/", MachineLoads.as_view(), name="api-vm-loads"),
    path("hosts/<uuid:pk>/loads/", HostLoads.as_view(), name="api-host-loads"),
    path("events/chain/", Chain.as_view(), name="api-events-chain"),
    path("events/verify/", VerifyChain.as_view(), name="api-events-verify"),
    path("vms/<uuid:pk>/screen/", Screen.as_view(), name="api-screen"),
    path("vms/<uuid:pk>/rdp-file/", RdpFile.as_view(), name="api-rdp-file"),
    path("vms/<uuid:pk>/viewer-file/", ViewerFile.as_view(), name="api-viewer-file"),
    path("pools/<uuid:pk>/explain/", ExplainAllocation.as_view(), name="api-pool-explain"),
    path("meta-pools/<uuid:pk>/explain/", ExplainMetaAllocation.as_view(), name="api-meta-pool-explain"),
    path("pools/<uuid:pk>/time-to-desktop/", TimeToDesktop.as_view(), name="api-pool-time"),
    path("pools/<uuid:pk>/set-goal/", SetGoal.as_view(), name="api-pool-goal"),
    path("hosts/ssh-key/", HostSshKey.as_view(), name="api-host-ssh-key"),
    path("hosts/invite/", InviteHost.as_view(), name="api-host-invite"),
    path("hosts/<uuid:pk>/fence/", Fence.as_view(), name="api-host-fence"),
    path("hosts/<uuid:pk>/confirm-rebooted/", ConfirmRebooted.as_view(), name="api-host-confirm-rebooted"),
    path("clusters/<uuid:pk>/availability/", Availability.as_view(), name="api-cluster-availability"),
    path("clusters/<uuid:pk>/what-if/", WhatIf.as_view(), name="api-cluster-what-if"),
    path("clusters/<uuid:pk>/balance/", Balance.as_view(), name="api-cluster-balance"),
    path("clusters/<uuid:pk>/iscsi-luns/", IscsiLuns.as_view(), name="api-cluster-iscsi-luns"),
    path("vms/<uuid:pk>/explain-start/", ExplainStart.as_view(), name="api-vm-explain-start"),
    path("pools/<uuid:pool_pk>/console-policy/", PoolPolicy.as_view(), name="api-pool-console-policy"),
    path("vms/<uuid:vm_pk>/console-policy/", MachinePolicy.as_view(), name="api-vm-console-policy"),
    path("pools/<uuid:pool_pk>/session-rules/", Rules.as_view(), name="api-session-rules"),
    path("pools/<uuid:pool_pk>/booking-rules/", PoolBookingRules.as_view(), name="api-booking-rules"),
    path("pools/<uuid:pool_pk>/free-times/", FreeTimes.as_view(), name="api-free-times"),
    path("desktops/bulk/", Bulk.as_view(), name="api-desktops-bulk"),
    *router.urls,
    re_path(r"^.*$", NotFound.as_view(), name="api-none"),
]
