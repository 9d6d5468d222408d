"""What Berth says to the helper for signing on that a Linux guest has from its template (deploy/guest/berth-sign-on).

The guest agent runs it as root; it answers one word. Called from workers, never while a page waits.
"""

import shlex
from collections.abc import Callable
from typing import Any

from broker.core.errors import BerthError, Conflict
from broker.core.text import gettext_noop as N_

from . import guest_orders
from .driver import Unsupported
from .models import VirtualMachine

HELPER = "/usr/local/sbin/berth-sign-on"
PATIENCE = 20.0
"""Seconds: it waits for a login for five of them."""
_ABSENT = 127
_NO_PERSON, ANSWERS = "guest.no-person", "guest.answers"
RULES_THAT_PASS = frozenset({_NO_PERSON, ANSWERS})
"""What may be otherwise in a moment, while a guest comes up: its directory is not there yet, or it is busy."""


def system_known(obj: Any) -> str:
    """What is known of the system of a pool's template, or of a machine: its name, maybe empty."""
    if isinstance(obj, VirtualMachine):
        told = str(obj.guest.get("os_name", ""))
        return told or (obj.template_version.template.os_name if obj.template_version else "")
    return str(obj.template.os_name)


def require_possible(system: str) -> None:
    """Raise Unsupported where nobody can be signed on: Berth has no credential provider for Windows."""
    if "windows" in system.lower():
        raise Unsupported(
            N_("Berth cannot sign anybody on in %(system)s: it has no credential provider for it."),
            fix=N_("Choose no sign-on for it; people sign in there with name and password."),
            rule="guest.system",
            system=system,
        )


def ask(vm: VirtualMachine, *words: str, sleep: Callable[[float], None]) -> str:
    """Give the helper these words (see there) and return its answer. Raises a BerthError with cause and next step."""
    run = guest_orders.run(vm, script_of(words), N_("sign-on"), patience=PATIENCE, sleep=sleep)
    said = run.output.strip().splitlines()
    answer = said[0].strip() if said else ""  # its answer, before what went to its standard error
    if run.code == 0 and answer:
        return answer
    raise _refusal(run.code, answer, vm, words[1] if len(words) > 1 else "")


def script_of(words: tuple[str, ...]) -> str:
    """The shell script: the words are quoted one by one, whatever is in them."""
    return f"[ -x {HELPER} ] || exit {_ABSENT}\nexec {HELPER} {shlex.join(words)}\n"


def _refusal(code: int, answer: str, vm: VirtualMachine, account: str) -> BerthError:
    known: dict[str, tuple[str, str, str]] = {
        "unknown-user": (
            _NO_PERSON, N_("The guest of %(name)s knows nobody called “%(account)s”."),
            N_("Join the guest to the directory or make the account there; see the directory's pattern of names."),
        ),
        "refused-user": (
            "guest.no-system-account", N_("“%(account)s” is no person's account in the guest of %(name)s."),
            N_("Nobody is signed on as root or as an account of the system; give the person an account of their own."),
        ),
        "void-request": (
            "guest.once", N_("The guest of %(name)s took the request for used or too old."),
            N_("Open the desktop again."),
        ),
        "occupied": (
            "guest.one-person", N_("Somebody else is logged in in the guest of %(name)s."),
            N_("Have them log out, or set a session rule that logs people out when they leave."),
        ),
        "no-screen": (
            "guest.screen", N_("The guest of %(name)s has no screen where somebody could be logged in."),
            N_("Look in the guest whether getty@tty1.service, or the unit named for it, can be started."),
        ),
        "no-logind": (
            "guest.logind", N_("The guest of %(name)s has no systemd-logind."), N_("Install systemd in the template."),
        ),
    }  # fmt: skip
    if code == _ABSENT:
        rule, message, fix = (
            "guest.helper", N_("The guest of %(name)s has no helper for signing on."),
            N_("Install berth-sign-on in its template; the page on sign-on in guests says how."),
        )  # fmt: skip
    elif answer in known:
        rule, message, fix = known[answer]
    else:
        rule, message, fix = (
            "guest.helper", N_("The helper for signing on in the guest of %(name)s failed: %(output)s"),
            N_("Look at it in the guest."),
        )  # fmt: skip
    return Conflict(message, rule=rule, fix=fix, name=vm.name, account=account, output=answer[:200] or str(code))
