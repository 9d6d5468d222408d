"""What the name, kind and place of a directory must be like, and when its password has to be typed again."""

from collections.abc import Mapping
from typing import Any

from broker.core.errors import Conflict, Invalid
from broker.core.text import gettext_noop as N_

from .kinds import KINDS, DirectoryKind
from .models import Directory
from .rules import checked_text

LAST_PLACE = 32_767


def checked_name(name: str, but: Directory | None = None) -> str:
    """The name. Raises Invalid, or Conflict when another directory has it."""
    name = checked_text(name, "name", 64)
    if not name:
        raise Invalid(N_("A directory needs a name."), field="name", fix=N_("Type one."))
    others = Directory.objects.exclude(pk=but.pk) if but else Directory.objects.all()
    if others.filter(name__iexact=name).exists():
        raise Conflict(
            N_("There is a directory called %(name)s already."),
            rule="directory.name",
            fix=N_("Choose another name."),
            name=name,
        )
    return name


def checked_kind(kind: str) -> DirectoryKind:
    """What the kind offers. Raises Invalid."""
    if kind not in KINDS:
        raise Invalid(
            N_("There is no kind of directory called %(kind)s."),
            field="kind",
            fix=N_("Choose one of: %(kinds)s."),
            kind=str(kind)[:64],
            kinds=", ".join(KINDS.names()),
        )
    return KINDS.get(kind)


def checked_order(order: int) -> int:
    """The place among the directories, lower is asked first. Raises Invalid."""
    if not 0 <= order <= LAST_PLACE:
        raise Invalid(N_("This is no place in a row."), field="order", fix=N_("Use a number from 0 to 32767."))
    return order


def kept_keytab(directory: Directory, config: Mapping[str, Any], content: bytes | None) -> str:
    """The row's `keytab` under a new `config`: of what was uploaded, or the present one for None; b"" forgets it.

    Raises Invalid when it is none, has no key that is needed, or the kind of directory has no use for one.
    """
    kind: Any = checked_kind(directory.kind)
    if hasattr(kind, "sealed_keytab"):
        kept: str = kind.sealed_keytab(config, content, directory.keytab)
        return kept
    if content:
        raise Invalid(N_("This kind of directory has no use for a keytab."), field="keytab", fix=N_("Leave it out."))
    return ""


def kept_secret(directory: Directory, config: Mapping[str, Any], password: str | None) -> str:
    """The row's `secret` under a new `config`: of the password, or the present one when it is None.

    Raises Invalid when the present one would be told to other servers than those it was typed for.
    """
    kind = checked_kind(directory.kind)
    if password is not None:
        return kind.sealed(password)
    if directory.secret and kind.trusts(config) != kind.trusts(directory.config):
        raise Invalid(
            N_("The password would be sent to other servers than before."),
            field="password",
            fix=N_("Type the password again, too."),
        )
    return directory.secret
