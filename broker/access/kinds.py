"""The kinds of object that rights are about, and from which other objects each inherits.

Upper layers register theirs: `register("vm", "virt.VirtualMachine", {"cluster": "cluster_id", …})` says
that a grant on a cluster covers the machines whose `cluster_id` is that cluster.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.db import models

from broker.core.registry import Registry


@dataclass(frozen=True)
class Kind:
    """`parents`: kind → field path whose value is the id of the parent object. `owner`: path to a user's id."""

    name: str
    model_label: str
    parents: Mapping[str, str]
    owner: str = ""
    owner_verbs: tuple[str, ...] = ()

    @property
    def model(self) -> type[models.Model]:
        return apps.get_model(self.model_label)


KINDS: Registry[Kind] = Registry("kind of object")


def register(
    name: str,
    model_label: str,
    parents: Mapping[str, str] | None = None,
    *,
    owner: str = "",
    owner_verbs: tuple[str, ...] = (),
) -> Kind:
    return KINDS.add(name, Kind(name, model_label, parents or {}, owner, owner_verbs))


def kind_of(target: Any) -> Kind:
    """The kind of a model, an instance or a queryset."""
    model = target.model if isinstance(target, models.QuerySet) else target
    label = model._meta.label
    for kind in KINDS:
        if kind.model_label == label:
            return kind
    raise LookupError(f"{label} is not an object that rights are about")
