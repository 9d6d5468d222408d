"""The language a person chose: it goes with them to every browser, and their mails are written in it."""

from django.conf import settings
from django.utils.functional import SimpleLazyObject

from .models import User

_KEY = "language"


def language_of(user: User | None) -> str:
    """The code of the language `user` chose, of settings.LANGUAGES; empty when they chose none that is shipped."""
    code = user.preferences.get(_KEY) if user is not None and isinstance(user.preferences, dict) else None
    return code if code in dict(settings.LANGUAGES) else ""


def keep_language(user: User | SimpleLazyObject, code: str) -> None:
    """Note the choice down. `code` is one of settings.LANGUAGES; anything else changes nothing."""
    if code not in dict(settings.LANGUAGES):
        return
    chosen = {**user.preferences, _KEY: code}
    User.objects.filter(pk=user.pk).update(preferences=chosen)
    user.preferences = chosen
