"""The API can do all that Berth can do: every action has its call, and the pages use nothing else.

A new action fails here until it has an operation, or is listed among what only Berth's own processes do or what only
ends in a browser's session.
"""

import importlib
import pkgutil
import sys

import pytest
from drf_spectacular.generators import SchemaGenerator

import broker
import pools

INTERNAL = {
    "broker.connections.actions.begin_recording": "a gateway opens a console that is to be recorded",
    "broker.connections.actions.end_recording": "a gateway or a duty says that a recording is over",
    "broker.connections.actions.close_session": "a gateway or a duty says that a console is over",
    "broker.connections.actions.redeem_ticket": "a gateway asks for the ticket a browser shows it",
}
# Ends in the browser's session, as signing in does; a program has a token of somebody's.
# A second factor proves that somebody sits there: no program sets one up, for it would keep its owner out.
OF_BROWSERS = {
    "broker.connections.actions.enter_as_guest",
    "broker.directories.actions.set_up_second_factor",
    "broker.directories.actions.drop_second_factor",
    "broker.directories.actions.renew_recovery_codes",
}
DOORS = {
    "broker.access.actions": {
        "verify_events": "POST events/verify/",
        "cancel_job": "POST jobs/{id}/cancel/",
        "create_quota": "POST quotas/",
        "create_role": "POST roles/",
        "delete_quota": "DELETE quotas/{id}/",
        "demand_second_factor": "POST roles/{id}/demand-second-factor/",
        "delete_role": "DELETE roles/{id}/",
        "edit_quota": "PATCH quotas/{id}/",
        "edit_role": "PATCH roles/{id}/",
        "grant": "POST grants/",
        "revoke": "DELETE grants/{id}/",
    },
    "broker.backups.actions": {
        "back_up": "POST backups/",
        "create_schedule": "POST backup-schedules/",
        "create_target": "POST backup-targets/",
        "delete_backup": "DELETE backups/{id}/",
        "delete_schedule": "DELETE backup-schedules/{id}/",
        "delete_target": "DELETE backup-targets/{id}/",
        "edit_schedule": "PATCH backup-schedules/{id}/",
        "restore_as_new": "POST backups/{id}/restore-as-new/",
        "restore_backup": "POST backups/{id}/restore/",
        "verify_backup": "POST backups/{id}/verify/",
    },
    "broker.connections.actions": {
        "set_console_policy": "PATCH pools/{pool_pk}/console-policy/",
        "delete_recording": "DELETE recordings/{id}/",
        "play_recording": "GET recordings/{id}/file/",
        "download_video": "GET recordings/{id}/video/",
        "answer_help": "POST helps/{id}/answer/",
        "ask_help": "POST sessions/{id}/ask-help/",
        "create_share": "POST shares/",
        "end_help": "POST helps/{id}/end/",
        "end_session": "POST sessions/{id}/end/",
        "end_share": "POST shares/{id}/end/",
        "issue_ticket": "POST vms/{id}/console-ticket/",
        "open_share": "POST shares/open/",
        "read_message": "POST messages/{id}/read/",
        "send_message": "POST sessions/{id}/message/",
    },
    "broker.directories.actions": {
        "create_directory": "POST directories/",
        "create_group": "POST groups/",
        "create_user": "POST users/",
        "delete_directory": "DELETE directories/{id}/",
        "delete_group": "DELETE groups/{id}/",
        "disable_user": "POST users/{id}/disable/",
        "edit_directory": "PATCH directories/{id}/",
        "edit_user": "PATCH users/{id}/",
        "enable_user": "POST users/{id}/enable/",
        "preview_directory": "POST directories/preview/",
        "reset_second_factor": "POST users/{id}/reset-second-factor/",
        "set_members": "POST groups/{id}/members/",
        "set_password": "POST users/{id}/set-password/",
        "sync_directory": "POST directories/{id}/sync/",
    },
    "broker.notifications.actions": {
        "create_subscription": "POST subscriptions/",
        "edit_subscription": "PATCH subscriptions/{id}/",
        "delete_subscription": "DELETE subscriptions/{id}/",
        "try_subscription": "POST subscriptions/{id}/test/",
    },
    "broker.virt.actions": {
        "adopt_vm": "POST hosts/{host_pk}/foreign-machines/{id}/adopt/",
        "append_image": "PUT images/{id}/data/",
        "change_cd": "POST vms/{id}/change-cd/",
        "create_instance_type": "POST instance-types/",
        "edit_instance_type": "PATCH instance-types/{id}/",
        "delete_instance_type": "DELETE instance-types/{id}/",
        "edit_image": "PATCH images/{id}/",
        "fetch_image": "POST images/fetch/",
        "create_image_source": "POST image-sources/",
        "edit_image_source": "PATCH image-sources/{id}/",
        "delete_image_source": "DELETE image-sources/{id}/",
        "create_image": "POST images/",
        "delete_image": "DELETE images/{id}/",
        "finish_image": "POST images/{id}/finish/",
        "activate_storage": "POST storage-domains/{id}/activate/",
        "maintain_storage": "POST storage-domains/{id}/maintain/",
        "detach_storage": "POST storage-domains/{id}/detach/",
        "import_found": "POST storage-domains/{id}/import/",
        "take_storage": "POST storage-domains/{id}/take-over/",
        "wake_host": "POST hosts/{id}/wake/",
        "activate_host": "POST hosts/{id}/activate/",
        "act_on_machines": "POST batches/",
        "create_saved_search": "POST saved-searches/",
        "edit_saved_search": "PATCH saved-searches/{id}/",
        "delete_saved_search": "DELETE saved-searches/{id}/",
        "create_physical_machine": "POST physical-machines/",
        "edit_physical_machine": "PATCH physical-machines/{id}/",
        "delete_physical_machine": "DELETE physical-machines/{id}/",
        "create_affinity_group": "POST affinity-groups/",
        "confirm_rebooted": "POST hosts/{id}/confirm-rebooted/",
        "create_disk": "POST vms/{vm_pk}/disks/",
        "share_disk": "POST floating-disks/{id}/share/",
        "attach_shared_disk": "POST vms/{vm_pk}/shared-disks/",
        "detach_shared_disk": "DELETE vms/{vm_pk}/shared-disks/{id}/",
        "attach_device": "POST vms/{vm_pk}/host-devices/",
        "detach_device": "DELETE vms/{vm_pk}/host-devices/{id}/",
        "edit_disk": "PATCH vms/{vm_pk}/disks/{id}/",
        "attach_disk": "POST floating-disks/{id}/attach/",
        "detach_disk": "POST vms/{vm_pk}/disks/{id}/detach/",
        "delete_floating_disk": "DELETE floating-disks/{id}/",
        "adopt_file": "POST storage-domains/{id}/adopt-file/",
        "convert_disk": "POST vms/{vm_pk}/disks/{id}/convert/",
        "limit_disk": "POST vms/{vm_pk}/disks/{id}/limit/",
        "export_disk": "POST vms/{vm_pk}/exports/",
        "export_vm": "POST vms/{vm_pk}/exports/ova/",
        "delete_export": "DELETE vms/{vm_pk}/exports/{id}/",
        "download_export": "GET vms/{vm_pk}/exports/{id}/data/",
        "delete_disk": "DELETE vms/{vm_pk}/disks/{id}/",
        "examine_disks": "POST vms/{id}/examine-disks/",
        "tidy_storage": "POST storage-domains/{id}/tidy/",
        "move_disks": "POST vms/{id}/move-disks/",
        "pace_move": "POST vms/{id}/pace-move/",
        "grow_disk": "POST vms/{vm_pk}/disks/{id}/grow/",
        "take_snapshot": "POST vms/{vm_pk}/snapshots/",
        "revert_snapshot": "POST vms/{vm_pk}/snapshots/{id}/revert/",
        "preview_snapshot": "POST vms/{vm_pk}/snapshots/{id}/preview/",
        "commit_preview": "POST vms/{id}/commit-preview/",
        "undo_preview": "POST vms/{id}/undo-preview/",
        "delete_snapshot": "DELETE vms/{vm_pk}/snapshots/{id}/",
        "create_cluster": "POST clusters/",
        "create_fence_device": "POST hosts/{host_pk}/fence-devices/",
        "create_host": "POST hosts/",
        "create_network": "POST networks/",
        "create_storage": "POST storage-domains/",
        "find_luns": "POST clusters/{id}/iscsi-luns/",
        "create_template": "POST templates/",
        "create_vm": "POST vms/",
        "delete_affinity_group": "DELETE affinity-groups/{id}/",
        "delete_cluster": "DELETE clusters/{id}/",
        "delete_fence_device": "DELETE hosts/{host_pk}/fence-devices/{id}/",
        "delete_host": "DELETE hosts/{id}/",
        "delete_network": "DELETE networks/{id}/",
        "delete_storage": "DELETE storage-domains/{id}/",
        "delete_template": "DELETE templates/{id}/",
        "delete_template_version": "DELETE template-versions/{id}/",
        "delete_vm": "DELETE vms/{id}/",
        "edit_cluster": "PATCH clusters/{id}/",
        "edit_network": "PATCH networks/{id}/",
        "edit_host": "PATCH hosts/{id}/",
        "edit_storage": "PATCH storage-domains/{id}/",
        "fence_host": "POST hosts/{id}/fence/",
        "edit_affinity_group": "PATCH affinity-groups/{id}/",
        "edit_template_version": "PATCH template-versions/{id}/",
        "edit_template": "PATCH templates/{id}/",
        "apply_changes": "POST vms/{id}/apply-changes/",
        "undo_changes": "POST vms/{id}/undo-changes/",
        "run_once": "POST vms/{id}/run-once/",
        "clone_vm": "POST vms/{id}/clone/",
        "give_vm": "POST vms/{id}/give/",
        "create_nic": "POST vms/{vm_pk}/nics/",
        "edit_nic": "PATCH vms/{vm_pk}/nics/{id}/",
        "delete_nic": "DELETE vms/{vm_pk}/nics/{id}/",
        "edit_vm": "PATCH vms/{id}/",
        "import_template_version": "POST templates/{id}/import-version/",
        "make_template_version": "POST vms/{id}/make-version/",
        "migrate_vm": "POST vms/{id}/migrate/",
        "maintain_host": "POST hosts/{id}/maintain/",
        "invite_host": "POST hosts/invite/",
        "evacuate_storage": "POST storage-domains/{id}/evacuate/",
        "evacuate_host": "POST hosts/{id}/evacuate/",
        "pause_vm": "POST vms/{id}/pause/",
        "power_off_vm": "POST vms/{id}/power-off/",
        "reboot_vm": "POST vms/{id}/reboot/",
        "reset_disks": "POST vms/{id}/reset-disks/",
        "reset_vm": "POST vms/{id}/reset/",
        "resume_vm": "POST vms/{id}/resume/",
        "shutdown_vm": "POST vms/{id}/shutdown/",
        "start_vm": "POST vms/{id}/start/",
        "suspend_vm": "POST vms/{id}/suspend/",
    },
    "pools.actions": {
        "add_physical_machine": "POST pools/{id}/add-physical-machine/",
        "allocate": "POST pools/{id}/take/",
        "allocate_meta": "POST meta-pools/{id}/take/",
        "assign": "POST desktops/{id}/assign/",
        "block_time": "POST pools/{pool_pk}/bookings/block/",
        "book": "POST pools/{pool_pk}/bookings/",
        "cancel_booking": "POST pools/{pool_pk}/bookings/{id}/cancel/",
        "move_booking": "PATCH pools/{pool_pk}/bookings/{id}/",
        "set_booking_rules": "PATCH pools/{pool_pk}/booking-rules/",
        "create_meta_pool": "POST meta-pools/",
        "create_pool": "POST pools/",
        "delete_meta_pool": "DELETE meta-pools/{id}/",
        "delete_pool": "POST pools/{id}/delete/",
        "disentitle": "DELETE pools/{pool_pk}/entitlements/{id}/",
        "edit_meta_pool": "PATCH meta-pools/{id}/",
        "edit_pool": "PATCH pools/{id}/",
        "entitle": "POST pools/{pool_pk}/entitlements/",
        "join_queue": "POST pools/{id}/wait/",
        "leave_meta_queue": "POST meta-pools/{id}/leave/",
        "leave_queue": "POST pools/{id}/leave/",
        "extend_session": "POST desktops/{id}/extend/",
        "mend_desktop": "POST desktops/{id}/mend/",
        "pace_rollout": "POST pools/{id}/pace-rollout/",
        "release": "POST desktops/{id}/release/",
        "reset_desktop": "POST desktops/{id}/reset/",
        "resume_rollout": "POST pools/{id}/resume-rollout/",
        "retire_desktop": "POST desktops/{id}/retire/",
        "roll_back": "POST pools/{id}/roll-back/",
        "set_goal": "POST pools/{id}/set-goal/",
        "stop_rollout": "POST pools/{id}/stop-rollout/",
        "update_desktop": "POST desktops/{id}/update/",
        "set_session_rules": "PATCH pools/{pool_pk}/session-rules/",
    },
}
CALLS = {f"{package}.{name}": door for package, names in DOORS.items() for name, door in names.items()}


def action_modules() -> set[str]:
    """Every module in a package called "actions"."""
    found = [
        m.name for p in (broker, pools) for m in pkgutil.walk_packages(p.__path__, f"{p.__name__}.") if not m.ispkg
    ]
    return {name for name in found if name.split(".")[-2] == "actions"}


def operations() -> set[str]:
    """Every operation in the description, as "POST vms/"."""
    schema = SchemaGenerator(urlconf="tests.portal.api.urls").get_schema(request=None, public=True)
    return {
        f"{verb.upper()} {path.removeprefix('/api/v1/')}" for path, verbs in schema["paths"].items() for verb in verbs
    }


def used_by(package: str) -> set[str]:
    """The actions whose functions the modules of a package have by name."""
    functions = {getattr(importlib.import_module(name), name.rpartition(".")[2]): name for name in action_modules()}
    for module in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
        importlib.import_module(module.name)
    held = [vars(module).values() for name, module in list(sys.modules.items()) if name.startswith(f"{package}.")]
    return {functions[value] for values in held for value in values if callable(value) and value in functions}


def test_every_action_is_either_called_or_internal():
    assert action_modules() == CALLS.keys() | INTERNAL.keys() | OF_BROWSERS
    assert not CALLS.keys() & (INTERNAL.keys() | OF_BROWSERS)


def test_every_call_is_described():
    assert set(CALLS.values()) <= operations()


def test_no_two_actions_share_a_call():
    assert len(set(CALLS.values())) == len(CALLS)


def test_the_views_call_the_actions_themselves():
    assert used_by("portal.api") == CALLS.keys()


@pytest.mark.parametrize("package", ["portal.web", "portal.admin"])
def test_the_pages_call_nothing_that_the_api_does_not(package):
    used = used_by(package)
    assert used
    assert used <= used_by("portal.api") | OF_BROWSERS


@pytest.mark.parametrize(
    "call",
    [
        "GET vms/{id}/screen/",
        "POST vms/{id}/viewer-file/",
        "POST vms/{id}/rdp-file/",
        "GET vms/{vm_pk}/samples/",
        "GET vms/{id}/loads/",
        "GET hosts/{id}/loads/",
        "GET hosts/{host_pk}/foreign-machines/",
        "GET pools/{id}/explain/",
        "GET pools/{id}/time-to-desktop/",
        "GET pools/{pool_pk}/free-times/",
        "GET vms/{id}/explain-start/",
        "GET clusters/{id}/what-if/",
        "GET clusters/{id}/iscsi-luns/",
        "GET clusters/{id}/availability/",
        "GET hosts/{host_pk}/verdicts/",
        "GET clusters/{id}/balance/",
    ],
)
def test_what_the_pages_show_without_an_action_can_be_read(call):
    assert call in operations()
