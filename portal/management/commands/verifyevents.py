"""manage.py verifyevents: is the chain of events whole? Exits with 1 and names the first that does not fit."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from broker.events.models import Event
from broker.events.seal import verify


class Command(BaseCommand):
    help = "Checks that no sealed event was changed or removed."

    def handle(self, *args: Any, **options: Any) -> None:
        wrong = verify()
        if wrong is not None:
            raise CommandError(
                f"The chain breaks at event {wrong.pk} (position {wrong.position}, {wrong.at:%Y-%m-%d %H:%M:%S}, "
                f"{wrong.kind}): it, or one before it, was changed or removed in the database."
            )
        last = Event.objects.exclude(position=None).order_by("-position").values_list("position", "digest").first()
        position, digest = last or (0, "")
        self.stdout.write(f"{position} events are as they were sealed. The last digest is {digest or 'none yet'}.")
