"""The lives of machines, disks, template versions, hosts and storages: our own states, not what a hypervisor says."""

from enum import StrEnum

from broker.core.states import Machine, transition
from broker.core.text import gettext_noop as N_


class VmState(StrEnum):
    CREATING = "creating"
    READY = "ready"
    DELETING = "deleting"
    BROKEN = "broken"


VM = Machine(
    name="vm",
    states=VmState,
    initial=VmState.CREATING,
    transitions={
        "created": transition("creating", VmState.READY),
        "delete": transition("creating ready broken", VmState.DELETING),
        "keep": transition("deleting", VmState.READY),
        "break": transition("creating ready deleting", VmState.BROKEN),
        "mend": transition("broken", VmState.READY),
    },
    meanings={
        VmState.CREATING: N_("Its disks and definition are being made."),
        VmState.READY: N_("It exists; its power state says whether it runs."),
        VmState.DELETING: N_("It is being removed from its host; the row goes last."),
        VmState.BROKEN: N_("Something of it is missing or wrong; its page says what."),
    },
    unstable={
        VmState.CREATING: "Its vm.create job ends it: created, or removed by the undo.",
        VmState.DELETING: "Its vm.delete job ends it: the row is gone, or kept by the undo.",
    },
    ends=frozenset({VmState.CREATING, VmState.DELETING}),
    sets={
        "usable": frozenset({VmState.READY}),
        "deletable": frozenset({VmState.CREATING, VmState.READY, VmState.BROKEN}),
    },
)


class VersionState(StrEnum):
    BUILDING = "building"
    READY = "ready"
    DELETING = "deleting"


VERSION = Machine(
    name="template version",
    states=VersionState,
    initial=VersionState.BUILDING,
    transitions={
        "built": transition("building", VersionState.READY),
        "delete": transition("building ready deleting", VersionState.DELETING),
        "keep": transition("deleting", VersionState.READY),
    },
    meanings={
        VersionState.BUILDING: N_("Its image is being copied."),
        VersionState.READY: N_("Machines can be made from it."),
        VersionState.DELETING: N_("Its image is being removed."),
    },
    unstable={
        VersionState.BUILDING: "Its template.import or template.make job ends it: built, or removed by the undo.",
        VersionState.DELETING: "Its template.delete-version job ends it, or leaves it to be deleted again.",
    },
    ends=frozenset({VersionState.BUILDING, VersionState.DELETING}),
    sets={"usable": frozenset({VersionState.READY})},
)


class ImageState(StrEnum):
    UPLOADING = "uploading"
    IMPORTING = "importing"
    READY = "ready"
    DELETING = "deleting"


IMAGE = Machine(
    name="image",
    states=ImageState,
    initial=ImageState.UPLOADING,
    transitions={
        "finish": transition("uploading", ImageState.IMPORTING),
        "imported": transition("importing", ImageState.READY),
        "delete": transition("uploading importing ready deleting", ImageState.DELETING),
    },
    meanings={
        ImageState.UPLOADING: N_("Its bytes are being sent."),
        ImageState.IMPORTING: N_("It is looked at, converted and put on its storage."),
        ImageState.READY: N_("Machines can be made from it."),
        ImageState.DELETING: N_("It is being removed."),
    },
    unstable={
        ImageState.UPLOADING: "Whoever uploads finishes or cancels it; the duty removes one that was left for a day.",
        ImageState.IMPORTING: "Its image.import job ends it: imported, or removed by the undo.",
        ImageState.DELETING: "Its image.delete job ends it, or leaves it to be deleted again.",
    },
    ends=frozenset({ImageState.UPLOADING, ImageState.IMPORTING, ImageState.DELETING}),
    sets={"usable": frozenset({ImageState.READY}), "growing": frozenset({ImageState.UPLOADING})},
)


class HostState(StrEnum):
    ACTIVE = "active"
    PREPARING = "preparing"
    MAINTENANCE = "maintenance"
    ASLEEP = "asleep"


HOST = Machine(
    name="host",
    states=HostState,
    initial=HostState.ACTIVE,
    transitions={
        "evacuate": transition("active maintenance", HostState.PREPARING),
        "emptied": transition("preparing", HostState.MAINTENANCE),
        "keep": transition("preparing", HostState.ACTIVE),
        "maintain": transition("active asleep", HostState.MAINTENANCE),
        "activate": transition("maintenance", HostState.ACTIVE),
        "sleep": transition("active", HostState.ASLEEP),
        "wake": transition("asleep", HostState.ACTIVE),
    },
    meanings={
        HostState.ACTIVE: N_("Machines may be started on it."),
        HostState.PREPARING: N_("Its machines are being moved to other hosts; none is started on it."),
        HostState.MAINTENANCE: N_("No machine is started on it; those that run go on."),
        HostState.ASLEEP: N_("It is switched off to save power, and is woken when it is needed."),
    },
    unstable={
        HostState.PREPARING: "Its host.evacuate job ends it: emptied, or kept in service by the undo.",
    },
    sets={
        "schedulable": frozenset({HostState.ACTIVE}),
        "guarded": frozenset({HostState.ACTIVE, HostState.PREPARING}),
        "removable": frozenset({HostState.MAINTENANCE}),
    },
)


class StorageState(StrEnum):
    ACTIVE = "active"
    MAINTENANCE = "maintenance"


STORAGE = Machine(
    name="storage",
    states=StorageState,
    initial=StorageState.ACTIVE,
    transitions={
        "maintain": transition("active", StorageState.MAINTENANCE),
        "activate": transition("maintenance", StorageState.ACTIVE),
    },
    meanings={
        StorageState.ACTIVE: N_("Disks are made on it, and machines started from it."),
        StorageState.MAINTENANCE: N_("Nothing is made on it and no machine is started from it; none runs on it."),
    },
    sets={"usable": frozenset({StorageState.ACTIVE})},
)


class RecoveryState(StrEnum):
    WAITING = "waiting"
    STARTING = "starting"
    DONE = "done"
    DROPPED = "dropped"


RECOVERY = Machine(
    name="recovery",
    states=RecoveryState,
    initial=RecoveryState.WAITING,
    transitions={
        "start": transition("waiting", RecoveryState.STARTING),
        "wait": transition("starting", RecoveryState.WAITING),
        "finish": transition("waiting starting", RecoveryState.DONE),
        "drop": transition("waiting starting", RecoveryState.DROPPED),
    },
    meanings={
        RecoveryState.WAITING: N_("The machine waits for a host with room, or for its next try."),
        RecoveryState.STARTING: N_("It is being started elsewhere."),
        RecoveryState.DONE: N_("It runs elsewhere; a copy on the lost host is stale."),
        RecoveryState.DROPPED: N_("It is no longer to be restarted."),
    },
    unstable={
        RecoveryState.WAITING: "The duty virt.ha starts it when its time has come and there is room.",
        RecoveryState.STARTING: "The duty virt.ha looks at its vm.start job: finished, or waiting again.",
    },
    sets={"open": frozenset({RecoveryState.WAITING, RecoveryState.STARTING})},
)
