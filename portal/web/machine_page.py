"""The page of one machine, as data for its template."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import quote

from django.urls import reverse
from django.utils.translation import gettext as _

from broker.access.actor import Actor
from broker.access.require import may
from broker.connections.consent import hidden_from
from broker.connections.queries import live_at
from broker.connections.rights import SERIAL_VERB
from broker.connections.vv import refusals
from broker.core import clock
from broker.jobs.models import Job
from broker.virt import open_screens
from broker.virt.driver import IO_ERROR, NO_SPACE
from broker.virt.instance_types import differs
from broker.virt.models import VirtualMachine
from broker.virt.pending import differences, is_off
from broker.virt.pending import of as pending_of
from pools.models import Desktop
from pools.updates import waiting
from portal.context import holds
from portal.why import Sight, Why

from . import words
from .access_page import permission_actions
from .changes import summary
from .loads import Charts, of_machine
from .machines import (
    connect_to,
    delete_action,
    is_stale,
    os_name,
    placeholder,
    power_actions,
    progress_on,
    release_action,
    thumbnail_of,
)
from .option_fields import told
from .parts import RECENT, Action, Connect, Happening, Notice, Pair, Progress, jobs_of, recent_events
from .updates import update_of
from .words import Mark

QUICK = ("start", "resume", "pause", "reboot", "shutdown")


@dataclass(frozen=True, slots=True)
class PastJob:
    title: str
    mark: Mark
    cause: str
    at: Any
    url: str
    why: Why | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """A disk or a network card."""

    icon: str
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class MachinePage:
    """All that templates/portal/machine.html shows."""

    id: Any
    title: str
    subtitle: str
    mark: Mark
    uptime: timedelta | None
    back_url: str
    back_label: str
    quick: list[Action]
    actions: list[Action]
    connect: Connect | None
    console_url: str
    notices: list[Notice]
    progress: Progress | None
    charts: Charts
    cpu_percent: int | None
    memory_used: int | None
    memory_mib: int
    thumbnail: str
    dim: bool
    icon: str
    details: list[Pair]
    parts: list[Part]
    events: list[Happening]
    events_url: str
    jobs: list[PastJob]


def machine_page(actor: Actor, vm: VirtualMachine, *, managing: bool, asked: str = "") -> MachinePage:
    """`vm` comes from `for_lists`, already checked for "vm.view"; `managing`: whoever looks has management pages.

    `asked`: the span of the charts, see `loads`.
    """
    job = jobs_of("vm", [vm.pk]).get(vm.pk)
    mark = words.machine_mark(vm, job)
    running = vm.power_state == "running" and vm.state == "ready"
    desktop = getattr(vm, "desktop", None)
    usable = may(actor, "vm.use", vm)
    powers = power_actions(vm, job) if may(actor, "vm.power", vm) else []
    quick = [action for action in powers if action.url.rsplit("/", 1)[-1] in QUICK]
    others = [action for action in powers if action not in quick]
    others += permission_actions(actor, "vm", vm)
    if desktop and desktop.holder_id and not job and _may_release(actor, desktop):
        others.append(release_action(vm, stateful=desktop.pool.stateful))
    if desktop and desktop.holder_id == actor.user_id and not job:
        update = update_of(desktop, waiting([desktop]).get(desktop.pk))
        others += [update.now] if update else []
    if running and not vm.is_physical and may(actor, SERIAL_VERB, vm):
        others.append(Action(_("Serial line"), reverse("portal:serial", args=[vm.pk]), "terminal-2", link=True))
    if vm.is_physical:
        others += _deeds_of_pc(actor, vm)
    elif not job and vm.state == "ready" and may(actor, "vm.edit", vm):
        others.append(Action(_("Edit"), reverse("portal:vm-edit", args=[vm.pk]), "edit", link=True))
        others.append(Action(_("Resize"), reverse("portal:vm-resize", args=[vm.pk]), "arrows-maximize", link=True))
        others.append(Action(_("Hardware"), reverse("portal:vm-hardware", args=[vm.pk]), "cpu", link=True))
        changing = reverse("portal:vm-changes", args=[vm.pk])
        others.append(Action(_("Changes and cards"), changing, "network", link=True))
        if is_off(vm):
            others.append(Action(_("Run once"), reverse("portal:vm-once", args=[vm.pk]), "player-play", link=True))
            others.append(Action(_("Clone"), reverse("portal:vm-clone", args=[vm.pk]), "copy", link=True))
        if holds(actor, "template.manage"):
            makes = reverse("portal:version-make", args=[vm.pk])
            others.append(Action(_("Make a template version"), makes, "template", link=True))
        disks = reverse("portal:vm-disks", args=[vm.pk])
        others.append(Action(_("Disks and snapshots"), disks, "device-sd-card", link=True))
        asks = reverse("portal:vm-explain", args=[vm.pk])
        others.append(Action(_("Would it start?"), asks, "help-circle", link=True))
    if vm.state == "ready" and may(actor, "vm.manage", vm):
        others.append(
            Action(_("Consoles"), reverse("portal:vm-console-policy", args=[vm.pk]), "adjustments", link=True)
        )
    if managing and may(actor, "recording.view", vm):
        recordings = f"{reverse('portal:recordings')}?q={quote(vm.name)}"
        others.append(Action(_("Recordings"), recordings, "player-play", link=True))
    if vm.state == "ready" and not vm.is_physical and may(actor, "vm.backup", vm):
        others.append(Action(_("Backups"), reverse("portal:vm-backups", args=[vm.pk]), "history", link=True))
        if not job:
            exports = reverse("portal:vm-export", args=[vm.pk])
            others.append(Action(_("Export as OVA"), exports, "file-download", link=True))
    if vm.state == "ready" and not vm.is_physical and may(actor, "vm.migrate", vm):
        others += _moving(actor, vm, job)
    deletable = not (desktop or job or vm.is_physical) and vm.state in ("ready", "broken")
    if deletable and may(actor, "vm.delete", vm):
        others.append(delete_action(vm))
        if may(actor, "vm.edit", vm):
            keeping = reverse("portal:vm-delete-keeping", args=[vm.pk])
            others.append(Action(_("Delete, keep its disks"), keeping, "trash", danger=True, link=True))
    connect = connect_to(vm, job, refusals([vm]).get(vm.pk)) if usable else None
    return MachinePage(
        id=vm.pk,
        title=vm.title or vm.name,
        subtitle=" · ".join(part for part in (vm.name, str(desktop.pool) if desktop else "", os_name(vm)) if part),
        mark=mark,
        uptime=clock.now() - vm.booted_at if running and vm.booted_at else None,
        back_url=reverse("portal:vms") if managing else reverse("portal:home"),
        back_label=_("Machines") if managing else _("My desktops"),
        quick=quick,
        actions=others,
        connect=connect,
        console_url=connect.url if connect and not connect.post else "",
        notices=_notices(vm, job),
        progress=progress_on(job),
        charts=of_machine(vm, asked),
        cpu_percent=vm.cpu_percent if running else None,
        memory_used=vm.memory_used_bytes if running else None,
        memory_mib=vm.memory_mib,
        thumbnail=thumbnail_of(vm) if usable and not hidden_from(actor, vm) else "",
        dim=vm.power_state == "paused",
        icon=placeholder(mark, vm.power_state),
        details=_details(actor, vm, managing),
        parts=_parts(vm),
        events=recent_events("vm", vm.pk, actor),
        events_url=f"{reverse('portal:events')}?q={vm.name}" if managing else "",
        jobs=_jobs(actor, vm, managing),
    )


def _deeds_of_pc(actor: Actor, vm: VirtualMachine) -> list[Action]:
    if not may(actor, "host.manage", vm.physical):
        return []
    return [Action(_("Edit"), reverse("portal:physical-pc-edit", args=[vm.pk]), "edit", link=True)]


def _moving(actor: Actor, vm: VirtualMachine, job: Job | None) -> list[Action]:
    """Move it, or take that back while it is under way."""
    if job is None:
        if vm.power_state not in ("running", "paused"):
            return []
        return [
            Action(_("Move to another host"), reverse("portal:vm-migrate", args=[vm.pk]), "arrows-maximize", link=True)
        ]
    if job.plan != "vm.migrate" or not may(actor, "job.cancel", job):
        return []
    return [Action(_("Cancel the move"), reverse("portal:job-cancel", args=[job.pk]), "x")]


def _may_release(actor: Actor, desktop: Desktop) -> bool:
    own = desktop.holder_id == actor.user_id and desktop.pool.kind == "automatic"
    return own or may(actor, "pool.manage", desktop.pool)


def _notices(vm: VirtualMachine, job: Job | None) -> list[Notice]:
    if vm.is_physical:
        return _notices_of_pc(vm)
    notices = []
    if is_stale(vm) and not job:
        notices.append(
            Notice(
                _("What you see may be out of date: the host has not told anything of this machine for a while."),
                _("The machine itself may well be running. Look at the page of its host."),
            )
        )
    if vm.state == "broken":
        notices.append(
            Notice(
                _("Something of this machine is missing or wrong."), _("The activity below says what happened."), "bad"
            )
        )
    if vm.power_state == "paused" and vm.power_reason in (NO_SPACE, IO_ERROR):
        notices.append(_paused(vm))
    if open_to := open_screens.places(vm):
        notices.append(
            Notice(
                _("Its screens are open to the network, past Berth: %(places)s.") % {"places": ", ".join(open_to)},
                _("“Take its screens off the network” in its hardware moves them at its next start."),
            )
        )
    if vm.power_state == "missing":
        notices.append(
            Notice(
                _("The host no longer knows this machine; somebody removed it there."),
                _("Start it to define it anew, or delete it here."),
                "bad",
            )
        )
    if waiting_lines := differences(vm, pending_of(vm)):
        notices.append(
            Notice(
                _("At its next start: %(changes)s.") % {"changes": summary(waiting_lines)},
                _("“Changes and cards” in the menu says why not now, tries again, or undoes it."),
                "idle",
            )
        )
    if vm.definition and vm.observed_definition and vm.definition != vm.observed_definition:
        notices.append(
            Notice(
                _("The definition on the host was changed behind Berth's back."),
                _("What differs stays as it is on the host until this machine is changed here."),
            )
        )
    return notices


def _notices_of_pc(vm: VirtualMachine) -> list[Notice]:
    if vm.physical.maintenance:
        return [Notice(_("This PC is in maintenance."), _("Nobody wakes or opens it until it is back in service."))]
    if vm.physical.error:
        return [Notice(_("This PC cannot be looked for."), _(vm.physical.error))]
    return []


def _paused(vm: VirtualMachine) -> Notice:
    full, alone = vm.power_reason == NO_SPACE, vm.on_error == VirtualMachine.OnError.RESUME
    if full:
        text = _("Its host paused this machine because its storage is full; nothing it wrote is lost.")
        fix = _("Make room on the storage: it goes on by itself within a minute.")
    else:
        text = _("Its host paused this machine because a disk could not be read or written.")
        fix = _("See to the storage: it goes on by itself, and tries its disk again.")
    return Notice(text, fix if alone else _("See to the storage, then resume it."), "bad")


def _details(actor: Actor, vm: VirtualMachine, managing: bool) -> list[Pair]:
    guest: dict[str, Any] = vm.guest if isinstance(vm.guest, dict) else {}
    pairs = []
    if vm.host and may(actor, "host.view", vm.host):
        pairs.append(Pair(_("Host"), vm.host.name, url=reverse("portal:host", args=[vm.host_id]) if managing else ""))
    pairs += [Pair(_("Address"), address, copy=True) for address in guest.get("addresses") or []]
    if guest.get("hostname"):
        pairs.append(Pair(_("Name in the network"), str(guest["hostname"])))
    if vm.is_physical:
        pairs += _details_of_pc(actor, vm)
    else:
        pairs.append(Pair(_("Processors"), _("%(count)d vCPU") % {"count": vm.vcpus}))
    if vm.instance_type:
        pairs.append(Pair(_("Instance type"), _type_of(vm)))
    if hardware := told(vm.options):
        pairs.append(Pair(_("Hardware"), ", ".join(hardware)))
    if vm.template_version:
        pairs.append(Pair(_("Template"), str(vm.template_version)))
    if vm.power_state == "running" and not vm.is_physical:
        answers = Mark(_("Answers"), "good") if guest else Mark(_("Does not answer"), "idle")
        pairs.append(Pair(_("Guest agent"), mark=answers))
    if users := guest.get("users"):
        pairs.append(Pair(_("Signed in there"), ", ".join(str(user) for user in users)))
    viewers = [str(session.user) for session in live_at(vm)]
    if viewers:
        pairs.append(Pair(_("At the screen"), ", ".join(sorted(set(viewers)))))
    if vm.autostart:
        pairs.append(Pair(_("Starts with its host"), _starts(vm)))
    desktop = getattr(vm, "desktop", None)
    if desktop and desktop.holder:
        pairs.append(Pair(_("Given to"), str(desktop.holder)))
    pairs.append(Pair(_("Made"), moment=vm.created_at))
    pairs.append(Pair(_("Last seen"), moment=vm.observed_at) if vm.observed_at else Pair(_("Last seen"), _("never")))
    return pairs


def _details_of_pc(actor: Actor, vm: VirtualMachine) -> list[Pair]:
    pc = vm.physical
    pairs = [Pair(_("Kind"), _("Physical PC"))]
    if may(actor, "host.view", pc):
        pairs.append(Pair(_("Address"), pc.address, copy=True))
        pairs.append(Pair(_("Wake-on-LAN"), pc.mac or _("no: its MAC address is not known")))
    ways = [f"{name} {port}" for name, port in (("VNC", pc.vnc_port), ("RDP", pc.rdp_port)) if port]
    return [*pairs, Pair(_("Offers"), ", ".join(ways))]


def _starts(vm: VirtualMachine) -> str:
    if vm.available:
        return _("no: it is highly available, which has its own rules")
    said = {"order": vm.autostart_order, "seconds": vm.autostart_delay}
    return (_("order %(order)s, then %(seconds)s s") if vm.autostart_delay else _("order %(order)s")) % said


def _type_of(vm: VirtualMachine) -> str:
    return _("%(name)s; its own size differs") % {"name": vm.instance_type} if differs(vm) else str(vm.instance_type)


def _parts(vm: VirtualMachine) -> list[Part]:
    from portal.templatetags.berth import bytesize

    disks = [
        Part(
            "device-sd-card",
            f"{disk.target} · {bytesize(disk.size_bytes)}",
            _("%(used)s used on %(storage)s") % {"used": bytesize(disk.allocated_bytes), "storage": disk.storage.name},
        )
        for disk in vm.disks.select_related("storage")
    ]
    return [*disks, *(Part("network", nic.network.name, nic.mac) for nic in vm.nics.select_related("network"))]


def _jobs(actor: Actor, vm: VirtualMachine, managing: bool) -> list[PastJob]:
    rows = list(Job.objects.filter(subject_kind="vm", subject_id=vm.pk)[: RECENT // 2])
    sight = Sight(actor, [job.error for job in rows])
    return [
        PastJob(
            _(job.title),
            words.JOB[job.state],
            sight.sentences(job.error)[0],
            job.created_at,
            reverse("portal:job", args=[job.pk]) if managing else "",
            sight.why(job.error),
        )
        for job in rows
    ]
