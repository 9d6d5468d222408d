"""What every kind checks of its `config`: types of values, an authority that can be read; and words for mistakes."""

import ssl
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from broker.core.errors import Invalid, Unavailable
from broker.core.text import gettext_noop as N_

if TYPE_CHECKING:
    from broker.directories.models import Directory

LONGEST_CA = 100_000
CA_FIX = N_("Paste the text from BEGIN CERTIFICATE to END CERTIFICATE.")
Config = TypeVar("Config")


def invalid(field: str, message: str, value: str, fixes: Mapping[str, str]) -> Invalid:
    """The refusal of a field, with what `fixes` has to say of it."""
    return Invalid(message, field=field, fix=fixes.get(field, N_("Correct it.")), value=value)


def typed(
    given: Mapping[str, Any], known: Mapping[str, Any], fixes: Mapping[str, str], longest: Mapping[str, int]
) -> dict[str, Any]:
    """The values as their defaults in `known` are: texts trimmed, words of a list as a tuple, switches and numbers.

    `longest`: of texts, in letters; "" is for those without a limit of their own, and without that there is none.
    Raises Invalid with the field, or with "config" for one that is not known.
    """
    values = {}
    for name, value in given.items():
        if name not in known:
            raise invalid("config", N_("There is no setting called %(value)s."), str(name), fixes)
        values[name] = _one(value, type(known[name]), longest.get(name, longest.get("")))
        if values[name] is None:
            raise invalid(name, N_("%(value)s cannot be used here."), str(value)[:80], fixes)
    return values


def check_ca(ca: str, fixes: Mapping[str, str]) -> None:
    """Raises Invalid for a text that is no certificate; empty is none, and right."""
    if ca:
        try:
            ssl.create_default_context(cadata=ca)
        except ssl.SSLError:
            raise invalid("ca", N_("This is no certificate in PEM format."), "", {"ca": CA_FIX, **fixes}) from None


def usable(directory: "Directory", parse: Callable[[], Config]) -> Config:
    """What `parse` makes of the row. Raises Unavailable when it cannot be right: nobody can sign in then."""
    try:
        return parse()
    except Invalid as error:
        raise Unavailable(
            N_("The directory %(directory)s is not set up rightly: %(cause)s"),
            fix=N_("An administrator has to correct its settings."),
            rule="directory.answers",
            directory=directory.name,
            cause=error.message,
        ) from None


def _one(value: Any, wanted: type, longest: int | None) -> Any:
    """The value, or None when it is of another type, too long, or has what no text has."""
    if wanted is tuple:
        parts = value.split() if isinstance(value, str) else value
        if isinstance(parts, list | tuple) and all(isinstance(part, str) for part in parts):
            return tuple(part.strip() for part in parts if part.strip())
        return None
    if wanted is bool or wanted is int:
        return value if type(value) is wanted else None
    if isinstance(value, str) and "\0" not in value and (longest is None or len(value) <= longest):
        return value.strip()
    return None
