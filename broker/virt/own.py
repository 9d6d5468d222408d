"""What people note on machines: tags and fields of their own, checked and written as wholes."""

from collections.abc import Mapping, Sequence

from broker.core.errors import Invalid
from broker.core.text import gettext_noop as N_

from . import names
from .models import OwnField, Tag, VirtualMachine

MOST = 32
LONGEST_VALUE = 255


def write(
    vm: VirtualMachine, *, tags: Sequence[str] | None = None, fields: Mapping[str, str] | None = None
) -> set[str]:
    """Make the machine's tags and fields these (None: leave); returns which of the two changed. In a transaction."""
    changed = set()
    if tags is not None:
        wanted = names.labels(tags, field="tags")
        if wanted != sorted(vm.tags.values_list("name", flat=True)):
            vm.tags.exclude(name__in=wanted).delete()
            Tag.objects.bulk_create([Tag(vm=vm, name=one) for one in wanted], ignore_conflicts=True)
            changed.add("tags")
    if fields is not None:
        values = checked(fields)
        if values != dict(vm.own_fields.values_list("name", "value")):
            vm.own_fields.all().delete()
            OwnField.objects.bulk_create([OwnField(vm=vm, name=name, value=value) for name, value in values.items()])
            changed.add("own_fields")
    return changed


def checked(fields: Mapping[str, str]) -> dict[str, str]:
    """Raise Invalid unless these are at most 32 names with a line of text each."""
    if not isinstance(fields, Mapping):
        raise Invalid(N_("This is no table of fields."), field="own_fields", fix=N_("Give names and values."))
    if len(fields) > MOST:
        raise Invalid(N_("These are too many fields."), field="own_fields", fix=N_("Use at most %(most)s."), most=MOST)
    return {
        names.name(name, field="own_fields"): names.title(str(value), field="own_fields", longest=LONGEST_VALUE)
        for name, value in fields.items()
    }
