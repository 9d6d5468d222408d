"""In which machines' drives an image lies: by their definition, or in the run that they are in."""

from django.db.models import Q, QuerySet

from broker.core.errors import Conflict, Reason
from broker.core.text import gettext_noop as N_
from broker.jobs.models import Job
from broker.jobs.states import ACTIVE

from .driver import PowerState
from .models import Image, VirtualMachine
from .usage import MOST_NAMED

# One that gives no sign of life may still run, and saved memory goes on with the drive it was saved with.
_OVER = (PowerState.OFF, PowerState.CRASHED, PowerState.MISSING)
_RUNS = N_("has it in its drive in this run")


def machines_with(image: Image) -> QuerySet[VirtualMachine]:
    """The machines in whose drive it lies, which keep it from being deleted."""
    return VirtualMachine.objects.filter(Q(cd=image) | _in_this_run(image))


def refuse_if_in_a_run(image: Image) -> None:
    """Raise Conflict naming the machines that were started with it for once, or are about to be."""
    running = list(VirtualMachine.objects.filter(_in_this_run(image))[: MOST_NAMED + 1])
    if not running:
        return
    named = ", ".join(vm.name for vm in running[:MOST_NAMED]) + (", …" if len(running) > MOST_NAMED else "")
    raise Conflict(
        N_("%(name)s lies in the drive of: %(machines)s."), rule="image.in-drive",
        fix=N_("Take it out there, or wait until this run of the machine is over."),
        reasons=[Reason(vm.name, "image.in-drive", _RUNS, kind="vm", id=vm.pk, words=_RUNS) for vm in running],
        name=image.name, machines=named,
    )  # fmt: skip


def _in_this_run(image: Image) -> Q:
    """It was put in for this run only, or a start that waits will put it in."""
    starts = Job.objects.filter(plan="vm.start", state__in=sorted(ACTIVE), args__cd=str(image.pk))
    return (Q(run_cd=image) & ~Q(power_state__in=_OVER)) | Q(pk__in=starts.values("subject_id"))
