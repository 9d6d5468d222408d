"""The admin's side bar."""

from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _

from broker.jobs.models import Job
from broker.jobs.states import ACTIVE
from broker.virt.models import VirtualMachine


def groups(request: HttpRequest) -> list[dict[str, Any]]:
    """Lists by what they are about; unfold calls this with each page."""
    return [
        _group(
            _("Infrastructure"),
            _item(_("Overview"), "dashboard", "index"),
            _item(_("Hosts"), "dns", "virt_host_changelist"),
            _item(_("Physical PCs"), "desktop_windows", "virt_physicalmachine_changelist"),
            _item(_("Devices of hosts"), "memory", "virt_hostdevice_changelist"),
            _item(_("Machines"), "computer", "virt_virtualmachine_changelist", badge="portal.admin.navigation.running"),
            _item(_("Disks"), "hard_drive_2", "virt_disk_changelist"),
            _item(_("Cards"), "settings_ethernet", "virt_nic_changelist"),
            _item(_("Snapshots"), "photo_camera", "virt_snapshot_changelist"),
            _item(_("Found on hosts"), "travel_explore", "virt_foreignmachine_changelist"),
            _item(_("Batches"), "checklist", "virt_batch_changelist"),
            _item(_("Templates"), "inventory_2", "virt_vmtemplate_changelist"),
            _item(_("Images"), "album", "virt_image_changelist"),
            _item(_("Servers for images"), "cloud_download", "virt_imagesource_changelist"),
            _item(_("Instance types"), "straighten", "virt_instancetype_changelist"),
            _item(_("Storage"), "hard_drive", "virt_storagedomain_changelist"),
            _item(_("Disks of no machine"), "save", "virt_floatingdisk_changelist"),
            _item(_("Backups"), "backup", "backups_backup_changelist"),
            _item(_("Backup schedules"), "schedule", "backups_backupschedule_changelist"),
            _item(_("Networks"), "lan", "virt_network_changelist"),
            _item(_("Clusters"), "hub", "virt_cluster_changelist"),
        ),
        _group(
            _("Availability"),
            _item(_("Hosts' health"), "monitor_heart", "virt_hosthealth_changelist"),
            _item(_("Restarts elsewhere"), "published_with_changes", "virt_recovery_changelist"),
            _item(_("Decisions"), "gavel", "virt_verdict_changelist"),
            _item(_("Fence devices"), "power", "virt_fencedevice_changelist"),
            _item(_("Affinity groups"), "join", "virt_affinitygroup_changelist"),
        ),
        _group(
            _("Desktops"),
            _item(_("Pools"), "layers", "pools_pool_changelist"),
            _item(_("Meta-pools"), "stacks", "pools_metapool_changelist"),
            _item(_("Desktops"), "desktop_windows", "pools_desktop_changelist"),
            _item(_("Bookings"), "calendar_month", "pools_booking_changelist"),
            _item(_("Rollouts"), "update", "pools_rollout_changelist"),
            _item(_("Sessions"), "cast", "connections_session_changelist"),
        ),
        _group(
            _("People"),
            _item(_("Users"), "person", "directories_user_changelist"),
            _item(_("Groups"), "group", "directories_group_changelist"),
            _item(_("Directories"), "contacts", "directories_directory_changelist"),
            _item(_("Roles"), "badge", "access_role_changelist"),
            _item(_("Grants"), "key", "access_grant_changelist"),
            _item(_("Quotas"), "speed", "access_quota_changelist"),
            _item(_("API tokens"), "token", "portal_apitoken_changelist"),
        ),
        _group(
            _("Records"),
            _item(_("Jobs"), "pending_actions", "jobs_job_changelist", badge="portal.admin.navigation.active_jobs"),
            _item(_("Events"), "history", "events_event_changelist"),
            _item(_("Chain of events"), "link", "events_chaincheck_changelist"),
            _item(_("Subscriptions"), "notifications", "notifications_subscription_changelist"),
            _item(_("Recordings"), "videocam", "connections_recording_changelist"),
            _item(_("Loads of machines"), "monitoring", "virt_machineload_changelist"),
            _item(_("Loads of hosts"), "monitoring", "virt_hostload_changelist"),
        ),
    ]


def running(request: HttpRequest) -> str:
    """How many machines run."""
    return str(VirtualMachine.objects.filter(power_state="running").count() or "")


def active_jobs(request: HttpRequest) -> str:
    """How many jobs are under way."""
    return str(Job.objects.filter(state__in=ACTIVE).count() or "")


def _group(title: str, *items: dict[str, Any]) -> dict[str, Any]:
    return {"title": title, "separator": True, "items": list(items)}


def _item(title: str, icon: str, name: str, **more: Any) -> dict[str, Any]:
    return {"title": title, "icon": icon, "link": reverse(f"admin:{name}"), **more}
