"""Make a pool of like desktops."""

from typing import Any

from django.db import IntegrityError, transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.errors import Conflict, Invalid
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.virt.models import Cluster, Network, StorageDomain, TemplateVersion, VmTemplate
from pools.models import Pool
from pools.values import check_together, checked, known
from pools.wake import wake


@transaction.atomic
def create_pool(
    *,
    actor: Actor,
    name: str,
    template: VmTemplate | None = None,
    cluster: Cluster | None = None,
    storage: StorageDomain | None = None,
    network: Network | None = None,
    version: TemplateVersion | None = None,
    title: str = "",
    description: str = "",
    kind: str = Pool.Kind.AUTOMATIC,
    stateful: bool = False,
    size: int = 1,
    prestarted: int = 0,
    max_per_user: int = 1,
    name_pattern: str = "",
    **more: Any,
) -> Pool:
    """Write the pool down; its desktops are made afterwards, some at a time. Returns the pool.

    Without a `template` it is for the physical PCs of the `cluster`: FIXED says what is not to be chosen there.
    `name` is its short name, for names of desktops and addresses; `version` None is always the newest ready one,
    `storage` None for each desktop the one with the most free space. `more`: `suspended`, `zone`, `schedule`,
    `hours`, `after_hours`, `forecast`, `protected`, as the model has them.
    Raises Missing, Denied, Invalid, or Conflict when there is a pool of that name.
    """
    if template is None:
        if cluster is None:
            raise Invalid(
                N_("A pool needs a template, or the cluster of its PCs."), field="template",
                fix=N_("Give one of the two."),
            )  # fmt: skip
        require(actor, "pool.manage", cluster)
        _require_unchosen(
            version=version, storage=storage, network=network, prestarted=prestarted, name_pattern=name_pattern,
            suspended=more.get("suspended"), forecast=more.get("forecast"),
        )  # fmt: skip
        stateful, size, more = True, 0, {**more, "suspended": 0, "forecast": False}
    else:
        cluster = template.cluster
        require(actor, "pool.manage", cluster)
        require(actor, "template.use", template)
    if storage is not None:
        require(actor, "storage.view", storage)
    if network is not None:
        require(actor, "network.view", network)
    values: dict[str, Any] = checked(
        name=name, title=title or name, description=description, kind=kind, stateful=stateful, size=size,
        prestarted=prestarted, max_per_user=max_per_user, name_pattern=name_pattern, **known(more),
    )  # fmt: skip
    if template is not None:
        check_together(
            template=template,
            version=version,
            storage=storage,
            network=network,
            size=size,
            prestarted=prestarted,
            suspended=values.get("suspended", 0),
        )
    try:
        with transaction.atomic():
            pool = Pool.objects.create(
                cluster=cluster, template=template, version=version, storage=storage, network=network, **values
            )
    except IntegrityError:
        raise Conflict(
            N_("There is a pool called %(name)s already."),
            rule="name.unique",
            fix=N_("Choose another name."),
            name=name,
        ) from None
    record(
        "pool.created",
        actor=actor,
        subject=pool,
        message=N_("The pool %(pool)s was made, for %(size)s desktops"),
        pool=pool,
        size=size,
    )
    publish("pool", pool.pk, "created")
    wake(pool.pk)
    return pool


def _require_unchosen(**values: Any) -> None:
    """Raise Invalid for what a pool of PCs cannot be told."""
    if given := [field for field, value in values.items() if value]:
        raise Invalid(
            N_("Physical PCs are not made by Berth: this is not for a pool of them."), field=given[0],
            fix=N_("Leave it out."),
        )  # fmt: skip
