"""Make new recovery codes in place of one's own."""

from django.db import transaction

from broker.access.actor import Actor
from broker.core.text import gettext_noop as N_
from broker.directories.models import SecondFactor, User
from broker.directories.rules import require_self
from broker.directories.second_factor import spend, write_recovery_codes
from broker.events.record import record


def renew_recovery_codes(*, actor: Actor, user: User, code: str, device: str = "") -> list[str]:
    """Returns them, to be shown once; the old ones work no more. Takes a code of the second factor, which is spent.

    Raises Missing, Denied (not one's own account), Invalid for the code, TooManyTries.
    """
    require_self(actor, user)
    spend(user, code, address=actor.address, device=device)
    with transaction.atomic():
        codes = write_recovery_codes(SecondFactor.objects.select_for_update().get(user=user))
        record(
            "user.recovery-codes-renewed", actor=actor, subject=user,
            message=N_("%(name)s made new recovery codes"), name=user,
        )  # fmt: skip
    return codes
