"""Disks of machines as a whole: moved to other storages, examined, and kept or not after a look at a snapshot."""

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from broker.access.require import find
from broker.core.errors import Invalid
from broker.core.text import gettext_noop as N_
from broker.virt.actions.commit_preview import commit_preview
from broker.virt.actions.delete_vm import delete_vm
from broker.virt.actions.examine_disks import examine_disks
from broker.virt.actions.move_disks import MOST_MIB, move_disks
from broker.virt.actions.pace_move import pace_move
from broker.virt.actions.undo_preview import undo_preview
from broker.virt.models import StorageDomain
from portal.api.base import Resource, job_verb
from portal.api.fields import Id, Input, Switch, WholeNumber


class DiskMove(Input):
    storage = Id()
    disks = serializers.ListField(
        child=Id(), required=False, allow_null=True, max_length=64, help_text="null: all that are not there."
    )
    bandwidth_mib = WholeNumber(
        required=False, min_value=0, max_value=MOST_MIB, help_text="At most so many MiB a second; 0: no limit."
    )


class Pace(Input):
    bandwidth_mib = WholeNumber(
        required=False, min_value=0, max_value=MOST_MIB, help_text="At most so many MiB a second; 0: no limit."
    )
    paused = Switch(required=False, help_text="Hold the copy; false: go on.")


class Examination(Input):
    mend = Switch(required=False, help_text="Repair what touches no image: a definition that names another one.")


class MovingDisks(Resource):
    """Verbs of the machines' resource."""

    @job_verb("move-disks", takes=DiskMove)
    def move_disks(self, request: Request, pk: Any) -> Response:
        """Move its disks to another storage, also while it runs; one job for all of them."""
        vm, given = self.find(), self.input(DiskMove)
        given["storage"] = find(self.actor, StorageDomain, given["storage"])
        if given.get("disks") is not None:
            wanted = set(given["disks"])
            given["disks"] = list(vm.disks.filter(pk__in=wanted))
            if len(given["disks"]) != len(wanted):
                raise Invalid(N_("There is no such disk."), field="disks", fix=N_("Choose disks of the machine."))
        return self.accepted(move_disks(actor=self.actor, vm=vm, **given))

    @job_verb("pace-move", takes=Pace)
    def pace_move(self, request: Request, pk: Any) -> Response:
        """Slow down, hold, or go on with its disks that are being copied while it runs."""
        return self.accepted(pace_move(actor=self.actor, vm=self.find(), **self.input(Pace)))

    @job_verb("examine-disks", takes=Examination)
    def examine_disks(self, request: Request, pk: Any) -> Response:
        """Compare what the database, the files and the hypervisor say; the job's args name the findings at its end."""
        return self.accepted(examine_disks(actor=self.actor, vm=self.find(), **self.input(Examination)))

    @job_verb("delete-keeping-disks")
    def delete_keeping_disks(self, request: Request, pk: Any) -> Response:
        """Remove the machine alone: its disks become disks of no machine under their ids, and are one's own."""
        self.nothing()
        return self.accepted(delete_vm(actor=self.actor, vm=self.find(), keep_disks=True))

    @job_verb("commit-preview")
    def commit_preview(self, request: Request, pk: Any) -> Response:
        """Keep the state of the snapshot that it looks at; what it had before is dropped."""
        self.nothing()
        return self.accepted(commit_preview(actor=self.actor, vm=self.find()))

    @job_verb("undo-preview")
    def undo_preview(self, request: Request, pk: Any) -> Response:
        """Go back to what it had before it looked at a snapshot; what was written meanwhile is dropped."""
        self.nothing()
        return self.accepted(undo_preview(actor=self.actor, vm=self.find()))
