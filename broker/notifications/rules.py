"""Who may have which subscription, what may be in one, and which events it takes."""

from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db.models import Q, QuerySet

from broker.access.actor import Actor
from broker.access.kinds import KINDS
from broker.access.require import may, own, require, require_within
from broker.core.errors import Conflict, Invalid, Missing
from broker.core.text import gettext_noop as N_
from broker.events.models import Event, Severity
from broker.virt import names

from . import secret, targets
from .models import Subscription, Way

MOST_EACH, MOST_KINDS, SHORTEST_KEY = 20, 20, 16
RANK = [Severity.INFO, Severity.WARNING, Severity.ERROR]


def may_read(actor: Actor) -> bool:
    """Events name people and hosts, so who is told of them must be one who may read both."""
    return may(actor, "event.view") and may(actor, "host.view")


def require_reading(actor: Actor) -> None:
    require(actor, "event.view")
    require(actor, "host.view")


def subscriptions(actor: Actor) -> QuerySet[Subscription]:
    """One's own; the site's and everybody's for who runs the system."""
    rows = Subscription.objects.select_related("owner")
    return rows if may(actor, "system.manage") else rows.filter(own(actor, Q(owner=actor.user_id, owner__isnull=False)))


def require_own(actor: Actor, row: Subscription) -> None:
    if may(actor, "system.manage"):
        return
    if row.owner_id is not None and row.owner_id == actor.user_id:
        require_within(actor)
        return
    raise Missing(
        N_("There is no such object."), fix=N_("Go back to the list; it may have been removed, or is not yours.")
    )


def checked(actor: Actor, values: dict[str, Any]) -> dict[str, Any]:
    """The fields of a whole subscription as they can be kept; raises Invalid, Conflict and Denied."""
    kept: dict[str, Any] = {"name": names.title(values["name"], field="name", longest=names.LONGEST_NAME)}
    if not kept["name"]:
        raise Invalid(N_("The subscription has no name."), field="name", fix=N_("Give it one."))
    kept["kinds"] = _kinds(values["kinds"])
    kept["severity"] = _one_of(values["severity"], Severity.values, "severity")
    kept["object_kind"], kept["object_id"] = _object(values["object_kind"], values["object_id"])
    kept["way"] = _one_of(values["way"], Way.values, "way")
    kept["target"] = str(values["target"]).strip()[:501]
    if len(kept["target"]) > 500:
        raise Invalid(N_("That is too long."), field="target", fix=N_("At most 500 signs."))
    (_webhook if kept["way"] == Way.WEBHOOK else _mail)(actor, kept["target"])
    if values.get("secret"):
        if not SHORTEST_KEY <= len(values["secret"]) <= 200:
            raise Invalid(N_("A key of that length is not taken."), field="secret", fix=N_("Use 16 to 200 signs."))
        kept["secret"] = secret.sealed(values["secret"])
    return kept


def wanted(row: Subscription) -> Q:
    """The events that a subscription takes."""
    condition = Q(severity__in=RANK[RANK.index(Severity(row.severity)) :])
    if row.kinds:
        some = Q()
        for kind in row.kinds:
            some |= Q(kind__startswith=kind[:-1]) if kind.endswith("*") else Q(kind=kind)
        condition &= some
    if row.object_kind:
        condition &= Q(subject_kind=row.object_kind)
    if row.object_id:
        condition &= Q(subject_id=row.object_id)
    return condition


def newest() -> int:
    """The position of the last sealed event."""
    last = Event.objects.exclude(position=None).order_by("-position").values_list("position", flat=True).first()
    return last or 0


def _kinds(given: Any) -> list[str]:
    found = sorted({str(one).strip() for one in given if str(one).strip()})
    if len(found) > MOST_KINDS:
        raise Invalid(N_("Those are too many kinds."), field="kinds", fix=N_("Use a beginning and a star, as vm.*"))
    for one in found:
        plain = one[:-1] if one.endswith("*") else one
        if len(one) > 64 or not all(sign.isascii() and (sign.isalnum() or sign in ".-_") for sign in plain):
            raise Invalid(
                N_("%(kind)s is no kind of event."), field="kinds", kind=one[:64],
                fix=N_("Give kinds as the list of events shows them, or a beginning and a star, as vm.*"),
            )  # fmt: skip
    return found


def _object(kind: Any, pk: Any) -> tuple[str, UUID | None]:
    kind = str(kind or "")
    if kind and kind not in KINDS:
        raise Invalid(N_("There is no such kind of object."), field="object_kind", fix=N_("Use vm, host or pool, say."))
    if pk and not kind:
        raise Invalid(N_("An object needs its kind."), field="object_kind", fix=N_("Say what kind of object it is."))
    return kind, pk or None


def _one_of(value: Any, known: list[str], field: str) -> str:
    if value not in known:
        raise Invalid(
            N_("There is no such choice."), field=field, fix=N_("Use one of %(names)s."), names=", ".join(known)
        )
    return str(value)


def _webhook(actor: Actor, target: str) -> None:
    require(actor, "system.manage")
    targets.check(target, settings.WEBHOOK_HOSTS)


def _mail(actor: Actor, target: str) -> None:
    """To one's own address; who runs the system may name any."""
    if not settings.EMAIL_HOST:
        raise Conflict(
            N_("This installation sends no mail."), rule="notifications.mail",
            fix=N_("Have BERTH_MAIL_HOST set, or use a webhook."),
        )  # fmt: skip
    try:
        validate_email(target)
    except ValidationError:
        raise Invalid(
            N_("That is no mail address."), field="target", fix=N_("Give one like ops@example.org.")
        ) from None
    if actor.user is not None and target == actor.user.email:
        return
    if not may(actor, "system.manage"):
        raise Invalid(
            N_("Mail goes to your own address."), field="target",
            fix=N_("Use the one your account has, or ask an administrator."),
        )  # fmt: skip
