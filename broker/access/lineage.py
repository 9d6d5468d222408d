"""What an object belongs to, as far as rights are inherited: a machine its pool and cluster, a pool its cluster."""

from uuid import UUID

from django.db import models

from .kinds import kind_of


def lineage(obj: models.Model) -> frozenset[tuple[str, UUID]]:
    """(kind, id) of the object itself and of each that it inherits rights from; the system is left out. One query."""
    kind = kind_of(obj)
    found = {(kind.name, obj.pk)}
    if kind.parents:
        paths = list(kind.parents.items())
        # All rows: a path over a relation to many (none is, today) would give several parents of a kind.
        for values in type(obj)._base_manager.filter(pk=obj.pk).values_list(*(path for _kind, path in paths)):
            found |= {(parent, value) for (parent, _path), value in zip(paths, values, strict=True) if value}
    return frozenset(found)
