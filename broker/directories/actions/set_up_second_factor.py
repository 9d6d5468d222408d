"""Have one's own sign-ins ask for a code of an app."""

from django.db import transaction

from broker.access.actor import Actor
from broker.core import clock
from broker.core.errors import Conflict
from broker.core.text import gettext_noop as N_
from broker.directories.models import SecondFactor, User
from broker.directories.rules import require_self
from broker.directories.second_factor import SEALER, step_of, write_recovery_codes, wrong_code
from broker.events.news import publish
from broker.events.record import record


@transaction.atomic
def set_up_second_factor(*, actor: Actor, user: User, secret: str, code: str) -> list[str]:
    """Returns recovery codes, to be shown once. `code` proves that the app has the `secret`; other sign-ins end.

    Raises Missing, Denied (not one's own account), Conflict when there is one already, or Invalid for the code.
    """
    require_self(actor, user)
    kept = User.objects.select_for_update().get(pk=user.pk)
    if kept.second_factor_at is not None:
        raise Conflict(
            N_("There is a second factor already."),
            rule="second-factor.one",
            fix=N_("Turn it off first, with a code of it."),
        )
    step = step_of(secret, code)
    if step is None:
        raise wrong_code()
    factor = SecondFactor.objects.create(user=kept, secret=SEALER.seal(secret), last_step=step)
    user.second_factor_at = clock.now()
    user.save(update_fields=["second_factor_at"])
    record(
        "user.second-factor-set", actor=actor, subject=user, message=N_("%(name)s set up a second factor"), name=user
    )
    publish("user", user.pk)
    return write_recovery_codes(factor)
