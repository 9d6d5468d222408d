"""Settings as a table, each with its kind, default and bounds: forms, the API, docs and checks read one place."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from .errors import Invalid
from .text import gettext_noop as N_


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting. Its kind is the type of `default`: a switch, a whole number within bounds, a choice, or text.

    `longest`: the most characters of free text; 0: the text is a name.
    """

    name: str
    default: bool | int | str
    title: str
    help: str = ""
    least: int = 0
    most: int = 0
    choices: tuple[tuple[str, str], ...] = ()
    longest: int = 0

    def check(self, value: Any) -> None:
        """Raise Invalid naming the setting unless `value` is possible."""
        if type(value) is not type(self.default):
            raise Invalid(
                N_("This is not a value for %(name)s."), field=self.name, name=self.name,
                fix=N_("Give the same kind of value as its default, %(default)s."), default=self.default,
            )  # fmt: skip
        if self.choices and value not in dict(self.choices):
            raise Invalid(
                N_("There is no such choice."), field=self.name, fix=N_("Use one of: %(choices)s."),
                choices=", ".join(dict(self.choices)),
            )  # fmt: skip
        if isinstance(value, str) and self.longest and len(value) > self.longest:
            raise Invalid(
                N_("This is too long."), field=self.name, fix=N_("Use at most %(most)s characters."), most=self.longest
            )
        if type(value) is int and not self.least <= value <= self.most:
            raise Invalid(
                N_("This number is out of range."), field=self.name,
                fix=N_("Use a whole number from %(least)s to %(most)s."), least=self.least, most=self.most,
            )  # fmt: skip


def checked(table: Iterable[Setting], given: Mapping[str, Any]) -> dict[str, Any]:
    """What is given, checked. Raises Invalid for a value that cannot be, or a setting that does not exist."""
    known = {one.name: one for one in table}
    for name, value in given.items():
        if name not in known:
            raise Invalid(
                N_("There is no setting called %(name)s."), field=name[:64], name=name[:64],
                fix=N_("Use one of: %(known)s."), known=", ".join(known),
            )  # fmt: skip
        known[name].check(value)
    return dict(given)


def complete(table: Iterable[Setting], stored: Mapping[str, Any]) -> dict[str, Any]:
    """Every setting: as stored, or as it is by default. What was stored and no longer exists is left out."""
    return {one.name: stored.get(one.name, one.default) for one in table}
