"""Say what may pass through the consoles of a pool's desktops or of one machine."""

from typing import Any

from django.db import models, transaction

from broker.access.actor import Actor
from broker.access.kinds import kind_of
from broker.access.require import require
from broker.connections.models import ConsolePolicy
from broker.connections.policy import policy_for
from broker.core.errors import Invalid
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.virt import guest_sign_on, names

KINDS = ("pool", "vm")
_CHOICES = {
    "clipboard": ConsolePolicy.Clipboard, "keyboard": ConsolePolicy.Keyboard, "sign_on": ConsolePolicy.SignOn,
}  # fmt: skip
_SWITCHES = ("files", "usb", "smartcard", "rdp", "watermark", "record", "guests")
_NUMBERS = {"lock_after": 24 * 3600, "speed": 10 * 1024 * 1024, "quality": 9}
LEAST_SPEED, LEAST_LOCK = 16, 10
FIELDS = frozenset(_CHOICES) | frozenset(_SWITCHES) | frozenset(_NUMBERS)


@transaction.atomic
def set_console_policy(*, actor: Actor, obj: models.Model, **changes: Any) -> ConsolePolicy:
    """Write those of FIELDS that are given for `obj`, a pool or a machine. Returns the policy.

    It holds for consoles opened from now on; what of it is in the machine itself, from its next start on. Raises
    Missing or Denied without "pool.manage" or "vm.manage", Invalid, or Unsupported for signing on in a system that
    cannot.
    """
    kind = kind_of(obj).name
    if kind not in KINDS:
        raise Invalid(N_("Only pools and machines have a console policy."), field="obj", fix=N_("Name one of them."))
    require(actor, f"{kind}.manage", obj)
    if unknown := sorted(changes.keys() - FIELDS):
        raise Invalid(
            N_("A console policy has no “%(what)s”."), field=unknown[0], fix=N_("Leave it out."), what=unknown[0]
        )
    values = {name: _checked(name, value) for name, value in changes.items()}
    if values.get("sign_on") == ConsolePolicy.SignOn.AGENT:
        guest_sign_on.require_possible(guest_sign_on.system_known(obj))
    policy = policy_for(obj)
    before = {name: getattr(policy, name) for name in values}
    for name, value in values.items():
        setattr(policy, name, value)
    policy.save()
    if changed := {name: value for name, value in values.items() if value != before[name]}:
        record(
            "console.policy",
            actor=actor,
            subject=obj,
            message=N_("What may pass through the consoles of %(name)s was changed: %(changes)s"),
            name=str(obj),
            changes=", ".join(f"{name} {before[name]} → {value}" for name, value in sorted(changed.items()))[:1000],
        )
        publish(kind, obj.pk)
    return policy


def _checked(name: str, value: Any) -> Any:
    if name in _CHOICES:
        if value not in _CHOICES[name].values:
            raise Invalid(
                N_("This is not one of the choices."),
                field=name,
                fix=N_("Use one of: %(choices)s."),
                choices=", ".join(_CHOICES[name].values),
            )
        return str(value)
    if name in _SWITCHES:
        if not isinstance(value, bool):
            raise Invalid(N_("This is neither yes nor no."), field=name, fix=N_("Use true or false."))
        return value
    number = names.number(value, field=name, least=0, most=_NUMBERS[name])
    least = {"speed": LEAST_SPEED, "lock_after": LEAST_LOCK}.get(name, 0)
    if 0 < number < least:
        raise Invalid(
            N_("This is too little to work with."), field=name, fix=N_("Use 0 for none, or %(least)s."), least=least
        )
    return number
