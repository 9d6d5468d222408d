"""The kinds of object that rights are about, and from which other objects each inherits.

Upper layers register theirs: `register("vm", "virt.VirtualMachine", {"cluster": "cluster_id", …})` says
that a grant on a cluster covers the machines whose `cluster_id` is that cluster.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.db import models
from django.db.models.signals import post_delete

from broker.core.registry import Registry

GRANTABLE = ("cluster", "host", "storage", "network", "template", "pool", "meta-pool", "vm")
"""The kinds that roles are given on, beside the system as a whole."""


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
    if name in GRANTABLE:
        post_delete.connect(_forget_grants, sender=model_label, dispatch_uid=f"access.forget.{name}")
    return KINDS.add(name, Kind(name, model_label, parents or {}, owner, owner_verbs))


def kind_of(target: Any) -> Kind:
    """The kind of a model, an instance or a queryset."""
    model = target.model if isinstance(target, models.QuerySet) else target
    label = model._meta.label
    for kind in KINDS:
        if kind.model_label == label:
            return kind
    raise LookupError(f"{label} is not an object that rights are about")


def _forget_grants(instance: models.Model, **kwargs: Any) -> None:
    """What was granted on an object goes with it: the reference is by kind and id, which no database follows."""
    from .models import Grant

    Grant.objects.filter(object_kind=kind_of(instance).name, object_id=instance.pk).delete()
