"""What the console page shows and what its script needs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.urls import reverse
from django.utils.translation import gettext as _

from broker.access.actor import Actor
from broker.access.require import may
from broker.gateway.closing import for_page
from broker.virt.models import VirtualMachine

from . import words
from .machines import power_actions
from .parts import Action, Progress, jobs_of, progress_of, stored_sentences
from .words import Mark

COMBINATIONS = (
    "Alt+Tab", "Alt+F4", "Ctrl+Esc", "Super", "Super+L", "Print", "Ctrl+Alt+F1", "Ctrl+Alt+F2", "Ctrl+Alt+F7",
    "Ctrl+Shift+Esc", "Esc", "Tab",
)  # fmt: skip
MODIFIERS = ("Ctrl", "Alt", "Shift", "Super")


@dataclass(frozen=True, slots=True)
class Keys:
    value: str
    label: str


@dataclass(frozen=True, slots=True)
class ConsolePage:
    """`ready`: the machine runs, so the script may ask for a ticket; until then a panel tells how far it is."""

    id: Any
    title: str
    mark: Mark
    ready: bool
    sentence: str
    fix: str
    progress: Progress | None
    start: Action | None
    back_url: str
    back_label: str
    combinations: Sequence[Keys]
    modifiers: Sequence[str]
    data: dict[str, Any]


def console_page(actor: Actor, vm: VirtualMachine, *, view_only: bool, csrf: str) -> ConsolePage:
    """`vm` comes from `for_lists`, already checked for "vm.use"."""
    job = jobs_of("vm", [vm.pk]).get(vm.pk)
    ready = vm.state == "ready" and vm.power_state in ("running", "paused")
    desktop = getattr(vm, "desktop", None)
    # One's own desktop may be about to start by itself, without a job that could be shown yet.
    starts = power_actions(vm, job, ("start", "resume")) if may(actor, "vm.power", vm) else []
    sentence, fix = _sentence(vm, bool(job), bool(starts))
    if not job and not ready:
        cause, hint = _last_failure(vm)
        sentence, fix = (cause, hint) if cause else (sentence, fix)
    return ConsolePage(
        id=vm.pk,
        title=str(desktop.pool) if desktop else (vm.title or vm.name),
        mark=words.machine_mark(vm, job),
        ready=ready,
        sentence=sentence,
        fix=fix,
        progress=progress_of(job) if job else None,
        start=starts[0] if starts else None,
        back_url=reverse("portal:home"),
        back_label=_("My desktops"),
        combinations=[Keys(keys, keys.replace("+", " + ")) for keys in COMBINATIONS],
        modifiers=MODIFIERS,
        data={
            "ticketUrl": reverse("portal:console-ticket", args=[vm.pk]),
            "csrf": csrf,
            "viewOnly": view_only,
            "closing": {str(row["code"]): {"text": _(str(row["text"])), "again": row["again"]} for row in for_page()},
            "texts": _texts(),
        },
    )


def _sentence(vm: VirtualMachine, working: bool, startable: bool) -> tuple[str, str]:
    if working:
        return _("The screen comes by itself when the desktop is ready."), ""
    if vm.state != "ready":
        return _("This desktop cannot be used at present."), _("Its page says why; your administrator can help.")
    if startable:
        return _("It is not running."), ""
    return _("It is not running, and you may not start it."), _("Ask whoever manages it to start it.")


def _last_failure(vm: VirtualMachine) -> tuple[str, str]:
    """Why the last attempt to start it did not succeed, if that was the last thing that happened to it."""
    from broker.jobs.models import Job

    job = Job.objects.filter(subject_kind="vm", subject_id=vm.pk).first()
    if job is None or job.state not in ("failed", "errored"):
        return "", ""
    return stored_sentences(job.error)


def _texts() -> dict[str, str]:
    return {
        "connecting": _("Opening the screen …"),
        "reconnecting": _("Connecting again …"),
        "unreachable": _("Berth does not answer."),
        "refused": _("The screen could not be opened."),
        "closed": _("You closed the connection. The desktop goes on without you."),
        "lost": _("The connection was lost."),
        "againIn": _("Next attempt in {seconds} s."),
        "againNow": _("Trying again …"),
    }
