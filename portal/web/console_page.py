"""What the console page shows and what its script needs."""

from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest
from django.middleware.csrf import get_token
from django.urls import reverse
from django.utils.translation import gettext as _

from broker.access.actor import Actor
from broker.access.require import may
from broker.connections import rdp
from broker.connections.endpoints import RDP, through_gateway
from broker.connections.models import ConsolePolicy, Help, Share
from broker.connections.policy import clipboard_told, only_by_vnc, policy_of
from broker.connections.policy import told as policy_told
from broker.settings import env
from broker.virt.models import VirtualMachine
from pools.updates import waiting
from portal.why import Why, told

from . import words
from .machines import os_name, power_actions
from .parts import Action, Progress, jobs_of, progress_of
from .updates import Update, update_of
from .words import Mark


@dataclass(frozen=True, slots=True)
class ConsolePage:
    """`ready`: the machine runs, so the script may ask for a ticket; until then a panel tells how far it is.

    `own`: it is the person's own screen, with its rules, guests and links; `guests`: also those for everybody.
    """

    id: Any
    title: str
    mark: Mark
    ready: bool
    sentence: str
    fix: str
    why: Why | None
    progress: Progress | None
    start: Action | None
    back_url: str
    back_label: str
    own: bool
    data: dict[str, Any]
    update: Update | None = None
    guests: bool = False


def console_page(
    actor: Actor, vm: VirtualMachine, *, view_only: bool, csrf: str, help: Help | None = None, wanted: str = ""
) -> ConsolePage:
    """`vm` comes from `for_lists`, already checked for "vm.use"; `help` is the consent to see another's screen.

    `wanted` is the kind of screen that is shown first, where it is offered.
    """
    job = jobs_of("vm", [vm.pk]).get(vm.pk)
    ready = vm.state == "ready" and vm.power_state in ("running", "paused")
    policy = policy_of(vm)
    kinds = kinds_in_browser(vm, policy)
    desktop = getattr(vm, "desktop", None)
    # One's own desktop may be about to start by itself, without a job that could be shown yet.
    starts = power_actions(vm, job, ("start", "resume"))
    if starts and not may(actor, "vm.power", vm):
        starts = []
    sentence, fix = _sentence(vm, bool(job), bool(starts))
    why: Why | None = None
    if not job and not ready:
        cause, hint, why = _last_failure(actor, vm)
        sentence, fix = (cause, hint) if cause else (sentence, fix)
    return ConsolePage(
        id=vm.pk,
        title=str(desktop.pool) if desktop else (vm.title or vm.name),
        mark=words.machine_mark(vm, job),
        ready=ready,
        sentence=sentence,
        fix=fix,
        why=why,
        progress=progress_of(job) if job else None,
        start=starts[0] if starts else None,
        back_url=reverse("portal:sessions" if help else "portal:home"),
        back_label=_("Sessions") if help else _("My desktops"),
        own=help is None,
        guests=policy.guests,
        update=_update(actor, desktop) if help is None and not job else None,
        data={
            "ticketUrl": reverse("portal:console-ticket", args=[vm.pk]),
            "name": vm.name,
            "stateUrl": reverse("portal:console-state", args=[vm.pk]) + (f"?help={help.pk}" if help else ""),
            "shareUrl": "" if help else reverse("portal:console-shares", args=[vm.pk]),
            "help": str(help.pk) if help else "",
            "kinds": ["vnc"] if help else kinds,
            "wanted": wanted if wanted in kinds else "",
            "rdpUser": rdp.user_name(actor) if RDP in kinds else "",
            "viewOnly": view_only or bool(help and help.level == Help.Level.LOOK),
            "policy": _policy(policy, actor.name),
            "windows": _windows(vm),
            "csrf": csrf,
        },
    )


def kinds_in_browser(vm: VirtualMachine, policy: ConsolePolicy) -> list[str]:
    """What the machine's screen can be shown by, the usual one first; VNC also while nothing is known yet."""
    carried = ("vnc", "spice") if env.console_engine == "picows" else ("vnc",)
    if only_by_vnc(policy, vm):
        carried = ("vnc",)
    kinds = [kind for kind in carried if through_gateway(vm, kind)] or ["vnc"]
    return [*kinds, RDP] if rdp.in_browser(vm, policy) else kinds


def _update(actor: Actor, desktop: Any) -> Update | None:
    if desktop is None or desktop.holder_id != actor.user_id:
        return None
    return update_of(desktop, waiting([desktop]).get(desktop.pk))


def shared_page(request: HttpRequest, share: Share) -> ConsolePage:
    """The page of who came by a shared link: the screen and nothing of the machine's own."""
    return ConsolePage(
        id=share.vm_id,
        title=_("Screen of %(owner)s") % {"owner": share.owner},
        mark=words.machine_mark(share.vm),
        ready=share.vm.state == "ready" and share.vm.power_state in ("running", "paused"),
        sentence=_("The desktop is not running at present."),
        fix=_("Ask who gave you the link."),
        why=None,
        progress=None,
        start=None,
        back_url=reverse("portal:home"),
        back_label=_("My desktops"),
        own=False,
        data={
            "ticketUrl": reverse("portal:shared-ticket", args=[share.pk]),
            "name": share.vm.name,
            "stateUrl": "",
            "shareUrl": "",
            "help": "",
            "kinds": ["vnc"],
            "wanted": "",
            "viewOnly": share.level == Share.Level.VIEW,
            "policy": _policy(policy_of(share.vm), str(request.user)),
            "windows": _windows(share.vm),
            "csrf": get_token(request),
        },
    )


def _policy(policy: ConsolePolicy, name: str) -> dict[str, Any]:
    return {
        "watermark": name if policy.watermark else "",
        "lockAfter": policy.lock_after,
        "quality": policy.quality,
        "keyboard": policy.keyboard,
        "paste": policy.paste,
        "copy": policy.copy,
        "told": policy_told(policy),
        "clipboardTold": clipboard_told(policy),
    }


def _windows(vm: VirtualMachine) -> bool:
    """Whether lines of its text end as those of Windows."""
    return "windows" in os_name(vm).lower()


def _sentence(vm: VirtualMachine, working: bool, startable: bool) -> tuple[str, str]:
    if working:
        return _("The screen comes by itself when the desktop is ready."), ""
    if vm.state != "ready":
        return _("This desktop cannot be used at present."), _("Its page says why; your administrator can help.")
    if startable:
        return _("It is not running."), ""
    return _("It is not running, and you may not start it."), _("Ask whoever manages it to start it.")


def _last_failure(actor: Actor, vm: VirtualMachine) -> tuple[str, str, Why | None]:
    """Why the last attempt to start it did not succeed, if that was the last thing that happened to it."""
    from broker.jobs.models import Job

    job = Job.objects.filter(subject_kind="vm", subject_id=vm.pk).first()
    if job is None or job.state not in ("failed", "errored"):
        return "", "", None
    return told(actor, job.error)
