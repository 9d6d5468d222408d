"""Machines as pages show them: what can be done, how to connect, rows of the list, the page of one machine."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import QuerySet
from django.urls import reverse
from django.utils.translation import gettext as _

from broker.access.actor import Actor
from broker.access.require import visible_to
from broker.connections.vv import Refusal, offers_file
from broker.core import clock
from broker.jobs.models import Job
from broker.virt import screens
from broker.virt.models import VirtualMachine
from broker.virt.physical import waking

from . import words
from .needs import VIEWER_NEEDS
from .parts import Action, Choice, Connect, Progress, jobs_of, progress_of
from .verbs import POWER_VERBS
from .words import Mark

STALE = timedelta(seconds=60)


def power_actions(vm: VirtualMachine, job: Job | None, names: Iterable[str] = ()) -> list[Action]:
    """What may be done to the machine's power now; with `names` only those. Empty while a job works on it."""
    if vm.state != "ready" or job:
        return []
    wanted = set(names)
    if vm.is_physical:
        asks = vm.power_state in waking.WHEN and (not wanted or "start" in wanted)
        return [Action(_("Wake"), reverse("portal:vm-power", args=[vm.pk, "start"]), "player-play")] if asks else []
    return [
        Action(verb.label, reverse("portal:vm-power", args=[vm.pk, verb.name]), verb.icon, verb.danger, verb.confirm)
        for verb in POWER_VERBS
        if vm.power_state in verb.states and (not wanted or verb.name in wanted)
    ]


def release_action(vm: VirtualMachine, *, stateful: bool) -> Action:
    """Give a desktop back to its pool."""
    text = (
        _("The desktop goes back to its pool.")
        if stateful
        else _("The desktop goes back to its pool and is reset: what you left in it is removed.")
    )
    return Action(_("Give back"), reverse("portal:vm-release", args=[vm.pk]), "logout", danger=True, confirm=text)


def delete_action(vm: VirtualMachine) -> Action:
    text = _("The machine %(name)s and its disks are removed. This cannot be undone.") % {"name": vm.name}
    return Action(_("Delete"), reverse("portal:vm-delete", args=[vm.pk]), "trash", danger=True, confirm=text)


def connect_to(vm: VirtualMachine, job: Job | None = None, refusal: Refusal | None = None) -> Connect | None:
    """How to get to the machine's screen; None while it is being made or removed. `refusal`: no program may."""
    if vm.state != "ready":
        return None
    console = reverse("portal:console", args=[vm.pk])
    if vm.is_physical:
        return _connect_to_pc(vm, console, job)
    if vm.power_state == "running" or job:
        return Connect(_("Connect"), console, choices=_ways(vm, console, refusal))
    label = _("Resume and connect") if vm.power_state in ("paused", "suspended") else _("Start and connect")
    url = reverse("portal:vm-connect", args=[vm.pk])
    return Connect(label, url, icon="player-play", primary=False, post=True)


def _connect_to_pc(vm: VirtualMachine, console: str, job: Job | None) -> Connect | None:
    """One that is off is woken; of one that nobody can find nothing is offered."""
    if vm.power_state in waking.WHEN and not job:
        url = reverse("portal:vm-connect", args=[vm.pk])
        return Connect(_("Wake and connect"), url, icon="player-play", primary=False, post=True)
    if vm.consoles or job:
        return Connect(_("Connect"), console, choices=_ways(vm, console, None))
    if vm.power_state != "running":
        return None
    return Connect(_("Ways to connect"), reverse("portal:console-ways", args=[vm.pk]), icon="adjustments")


def _ways(vm: VirtualMachine, console: str, refusal: Refusal | None) -> Sequence[Choice]:
    ways = [
        Choice(_("In this browser"), _("Nothing to install"), console, "world", usual=True),
        Choice(_("In a new window"), _("For a second screen"), console, "external-link", new_window=True),
        Choice(_("Look on only"), _("Your keys and mouse are not sent"), f"{console}?view=only", "eye"),
    ]
    if offers_file(vm):
        file = reverse("portal:console-file", args=[vm.pk])
        hint = _(refusal.text) if refusal else VIEWER_NEEDS
        label = _("Remote Viewer (.vv)")
        ways.append(Choice(label, hint, file, "file-download", post=True, disabled=bool(refusal)))
    more = reverse("portal:console-ways", args=[vm.pk])
    ways.append(Choice(_("More ways"), _("Full screen, USB, RDP; what each needs"), more, "adjustments"))
    return ways


def thumbnail_of(vm: VirtualMachine) -> str:
    """The address of the newest picture of the machine's screen, empty without one; asks for a newer one.

    The address changes with the picture, so that browsers load each only once.
    """
    if vm.state != "ready" or vm.power_state not in ("running", "paused"):
        return ""
    screens.want([vm.pk])
    picture = screens.latest(vm.pk)
    if picture is None:
        return ""
    return f"{reverse('portal:screen', args=[vm.pk])}?at={int(time.time() - picture[1])}"


def placeholder(mark: Mark, power: str) -> str:
    """The icon shown where there is no picture."""
    if mark.tone == "busy":
        return "stack-2"
    return "device-desktop" if power == "running" else "power"


@dataclass(frozen=True, slots=True)
class MachineRow:
    """A line of the list of machines."""

    id: UUID
    url: str
    title: str
    subtitle: str
    mark: Mark
    cpu_percent: int | None
    host: str
    cluster: str
    template: str
    addresses: str
    owner: str
    created_at: datetime
    pool: str
    holder: str
    vcpus: int
    memory_mib: int
    actions: Sequence[Action]


def for_lists(rows: QuerySet[VirtualMachine]) -> QuerySet[VirtualMachine]:
    """With all that a row shows, in one query."""
    return rows.select_related(
        "host", "physical", "desktop__pool__session_rules", "desktop__holder", "template_version__template"
    )


def for_the_list(rows: QuerySet[VirtualMachine]) -> QuerySet[VirtualMachine]:
    """With all that a row of the list of machines may show, in one query."""
    return for_lists(rows).select_related("cluster", "owner")


def machine_rows(actor: Actor, machines: Sequence[VirtualMachine]) -> list[MachineRow]:
    """Rows for one page of machines, in three queries whatever their number."""
    ids = [vm.pk for vm in machines]
    jobs = jobs_of("vm", ids)
    page = VirtualMachine.objects.filter(pk__in=ids)
    powered = set(visible_to(actor, page, "vm.power").values_list("pk", flat=True))
    deletable = set(visible_to(actor, page, "vm.delete").values_list("pk", flat=True))
    return [_row(vm, jobs.get(vm.pk), vm.pk in powered, vm.pk in deletable) for vm in machines]


def _row(vm: VirtualMachine, job: Job | None, powered: bool, deletable: bool) -> MachineRow:
    desktop = getattr(vm, "desktop", None)
    actions = power_actions(vm, job) if powered else []
    if deletable and desktop is None and not job and not vm.is_physical:
        actions = [*actions, delete_action(vm)]
    return MachineRow(
        id=vm.pk,
        url=reverse("portal:vm", args=[vm.pk]),
        title=vm.title or vm.name,
        subtitle=subtitle_of(vm),
        mark=words.machine_mark(vm, job),
        cpu_percent=vm.cpu_percent if vm.power_state == "running" else None,
        host=vm.host.name if vm.host else "",
        cluster=vm.cluster.name,
        template=str(vm.template_version) if vm.template_version else "",
        addresses=", ".join(str(one) for one in vm.guest.get("addresses") or []) if isinstance(vm.guest, dict) else "",
        owner=str(vm.owner) if vm.owner else "",
        created_at=vm.created_at,
        pool=str(desktop.pool) if desktop else "",
        holder=str(desktop.holder) if desktop and desktop.holder else "",
        vcpus=vm.vcpus,
        memory_mib=vm.memory_mib,
        actions=actions,
    )


def os_name(vm: VirtualMachine) -> str:
    """What the guest says it is, else what its template says."""
    told = str(vm.guest.get("os_name") or "") if isinstance(vm.guest, dict) else ""
    version = str(vm.guest.get("os_version") or "") if isinstance(vm.guest, dict) else ""
    if told:
        return told if version in told else f"{told} {version}".strip()
    return vm.template_version.template.os_name if vm.template_version else ""


def subtitle_of(vm: VirtualMachine) -> str:
    """The machine's name where its title is shown, and its system."""
    parts = [vm.name] if vm.title and vm.title != vm.name else []
    if system := os_name(vm):
        parts.append(system)
    return " · ".join(parts)


def progress_on(job: Job | None) -> Progress | None:
    return progress_of(job) if job else None


def is_stale(vm: VirtualMachine) -> bool:
    """Whether what we show was seen too long ago to be trusted."""
    return vm.state == "ready" and (vm.observed_at is None or clock.now() - vm.observed_at > STALE)
