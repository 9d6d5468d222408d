"""What the console page tells besides the picture: rules and countdowns, questions, guests, links, messages.

Times are the server's, with its present time beside them: a page that is loaded anew counts on rightly.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.urls import reverse
from django.utils.translation import gettext as _

from broker.access.actor import Actor
from broker.connections.endpoints import SERIAL
from broker.connections.models import Help, Message, Session, Share, SignOn
from broker.connections.secrets import fingerprint
from broker.connections.standing import helps_at
from broker.connections.states import HelpState, SessionState
from broker.core import clock
from broker.gateway.closing import BY_NAME
from broker.virt.models import VirtualMachine
from pools.booked import rules_for
from pools.extending import room_after
from pools.hours import closing, moment
from pools.models import Desktop
from pools.session_duty import rules_of
from pools.session_facts import Screens, booking_of, facts_of, screens_at, sitting_of
from pools.session_rules import ENDS, Due, Trigger, ahead, decide, warned
from pools.session_sentence import WHAT, sentence
from portal.web.parts import stored_sentences
from portal.web.waiting import closes

TOLD_FOR = timedelta(minutes=1)
IDLE_TOLD = 60
"""Seconds before an idle step at which the page begins to count."""


def console_state(actor: Actor, vm: VirtualMachine) -> dict[str, Any]:
    """The state for who sits at the machine `vm`; a constant number of queries."""
    desktop = (
        Desktop.objects.filter(pk=vm.pk, holder=actor.user_id)
        .select_related("vm", "pool__session_rules", "sitting", "booking")
        .first()
    )
    now = clock.now()
    return {
        "now": now.isoformat(),
        "ending": _ending(actor, vm),
        "rules": _rules(desktop) if desktop else "",
        "countdowns": [
            *_signing_on(actor, vm, now),
            *(_closing(desktop, now) if desktop else []),
            *(_countdowns(desktop, now) if desktop else []),
        ],
        "helps": _helps(actor, vm),
        "guests": _guests(actor, vm),
        "shares": _shares(actor, vm, now),
        "messages": _messages(actor, vm),
    }


def helper_state(actor: Actor, help: Help) -> dict[str, Any]:
    """The state for who wants to see another's screen."""
    texts = {
        HelpState.ASKED: _("Waiting for %(user)s to allow it …"),
        HelpState.REFUSED: _("%(user)s refused."),
        HelpState.LAPSED: _("%(user)s did not answer."),
        HelpState.ENDED: _("It is over."),
    }
    text = texts.get(HelpState(help.state), "")
    return {
        "now": clock.now().isoformat(),
        "ending": None,
        "help": {"state": help.state, "text": text % {"user": help.asked_of} if text else ""},
    }


def _ending(actor: Actor, vm: VirtualMachine) -> int | None:
    """The close code of a session of this sign-in that was told to end and whose gateway has not heard of it yet."""
    row = (
        Session.objects.filter(vm=vm, user=actor.user_id, web_session=fingerprint(actor.session_key))
        .exclude(kind=SERIAL)
        .order_by("-opened_at")
        .values("state", "close_reason")
        .first()
    )
    if row is None or row["state"] != SessionState.ENDING or row["close_reason"] not in BY_NAME:
        return None
    return BY_NAME[row["close_reason"]].code


def _signing_on(actor: Actor, vm: VirtualMachine, now: datetime) -> list[dict[str, Any]]:
    """That the person is being signed on in the guest, or for a while why that was not done."""
    rows = SignOn.objects.filter(session__vm=vm, session__user=actor.user_id).order_by("-asked_at")
    row = rows.only("outcome", "error", "ended_at").first()
    if (
        row is None
        or row.outcome not in ("", SignOn.Outcome.FAILED)
        or (row.ended_at and now - row.ended_at > TOLD_FOR)
    ):
        return []
    text = _("You are being signed on in the desktop …")
    if row.outcome:
        text = " ".join(
            [_("You were not signed on in the desktop; sign in there by hand."), *stored_sentences(row.error)]
        )
    return [{"kind": "sign-on", "at": None, "text": text, "extend": ""}]


def _closing(desktop: Desktop, now: datetime) -> list[dict[str, Any]]:
    """Closing time of a pool that warns: counted down to, and told once it is over."""
    at = closing(desktop.pool)
    if at is None:
        return []
    text = _("The pool closes in {time}. You can finish what you are doing.")
    over = at <= now
    return [{"kind": "hours", "at": None if over else at.isoformat(), "text": closes(desktop.pool) if over else text,
             "extend": ""}]  # fmt: skip


def _rules(desktop: Desktop) -> str:
    """Until when it is theirs, where that was booked, and what happens to it by itself."""
    booking = booking_of(desktop)
    if booking is None:
        return sentence(desktop.pool)
    until = _("Yours until %(when)s.") % {"when": moment(booking.end, rules_for(desktop.pool).zone)}
    return f"{until} {sentence(desktop.pool)}"


def _countdowns(desktop: Desktop, now: datetime) -> list[dict[str, Any]]:
    sitting = sitting_of(desktop)
    if sitting is None:
        return []
    rules = rules_of(desktop)
    screens = screens_at([desktop]).get(desktop.pk, Screens())
    facts = facts_of(desktop, sitting, screens)
    end = warned(rules, facts, now)
    shown = [end] if end else []
    for one in (*decide(rules, facts, now), *ahead(rules, facts, now)):
        near = one.step.trigger is not Trigger.IDLE or (one.at - now).total_seconds() <= IDLE_TOLD
        if one.step.trigger not in ENDS and near:
            shown.append(one)
    more = bool(end) and sitting.extensions < rules.extensions and room_after(desktop, rules)
    extend = reverse("portal:console-extend", args=[desktop.pk])
    return [
        {
            "kind": one.step.trigger.value,
            "at": one.at.isoformat(),
            "text": _counting(one),
            "extend": extend if more and one.step.trigger in ENDS else "",
        }
        for one in shown
    ]


def _counting(one: Due) -> str:
    """With {time} where the page puts what is left."""
    if one.step.trigger is Trigger.BOOKING:
        text = _("Your booked time ends in {time}: this desktop %(what)s. Save your work.")
        return text % {"what": WHAT[one.step.act]}
    if one.step.trigger is Trigger.LONGEST:
        return _("Your session ends in {time}: this desktop %(what)s. Save your work.") % {"what": WHAT[one.step.act]}
    return _("This desktop %(what)s in {time}.") % {"what": WHAT[one.step.act]}


def _helps(actor: Actor, vm: VirtualMachine) -> list[dict[str, Any]]:
    texts = {
        Help.Level.LOOK: _("%(helper)s asks to look at your screen."),
        Help.Level.HELP: _("%(helper)s asks to see your screen and to work in it with you."),
    }
    return [
        {
            "id": str(help.pk),
            "state": help.state,
            "text": texts[Help.Level(help.level)] % {"helper": help.helper},
            "allow": reverse("portal:help-answer", args=[help.pk, "allow"]),
            "refuse": reverse("portal:help-answer", args=[help.pk, "refuse"]),
        }
        for help in helps_at(vm.pk)
        if help.asked_of_id == actor.user_id and help.state == HelpState.ASKED
    ]


def _guests(actor: Actor, vm: VirtualMachine) -> list[dict[str, Any]]:
    """Who else sees this screen now, and how to end it."""
    rows = (
        Session.objects.live()
        .exclude(kind=SERIAL)
        .exclude(purpose=Session.Purpose.OWN)
        .filter(vm=vm)
        .exclude(user=actor.user_id)
    )
    looks, works = _("%(user)s sees your screen"), _("%(user)s sees your screen and works in it")
    return [
        {
            "id": str(row.pk),
            "text": (looks if row.view_only else works) % {"user": row.user},
            "end": _end_of(row),
        }
        for row in rows.select_related("user")
    ]


def _end_of(session: Session) -> str:
    if session.help_id:
        return reverse("portal:help-answer", args=[session.help_id, "end"])
    return reverse("portal:share-end", args=[session.share_id]) if session.share_id else ""


def _shares(actor: Actor, vm: VirtualMachine, now: datetime) -> Sequence[dict[str, Any]]:
    words = {Share.Level.VIEW: _("may see the screen"), Share.Level.CONTROL: _("may work in it")}
    return [
        {
            "id": str(share.pk),
            "text": words[Share.Level(share.level)],
            "until": share.expires_at.isoformat(),
            "end": reverse("portal:share-end", args=[share.pk]),
        }
        for share in Share.objects.good().filter(vm=vm, owner=actor.user_id)
    ]


def _messages(actor: Actor, vm: VirtualMachine) -> list[dict[str, Any]]:
    rows = Message.objects.filter(vm=vm, user=actor.user_id, read_at__isnull=True).order_by("sent_at")
    return [
        {
            "id": str(row.pk),
            "by": row.by,
            "text": row.text,
            "read": reverse("portal:message-read", args=[row.pk]),
        }
        for row in rows[:20]
    ]
