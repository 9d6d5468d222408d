"""manage.py resetsecondfactor NAME: the way back for an administrator whose phone and recovery codes are lost."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from broker.access.actor import Actor
from broker.directories.actions.reset_second_factor import reset_second_factor
from broker.directories.models import User


class Command(BaseCommand):
    help = "Takes the second factor from a user; where one is demanded, the next sign-in sets it up anew."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="the user's name")

    def handle(self, *args: Any, name: str, **options: Any) -> None:
        user = User.objects.filter(username__iexact=name).first()
        if user is None:
            raise CommandError(f"There is no user called {name}.")
        had = user.second_factor_at is not None
        reset_second_factor(actor=Actor.system("manage.py"), user=user)
        self.stdout.write(f"{user} signs in with the password alone now." if had else f"{user} had no second factor.")
