"""Make a pool of like desktops."""

from typing import Any

from django.db import IntegrityError, transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.errors import Conflict
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.virt.models import Network, StorageDomain, TemplateVersion, VmTemplate
from pools.models import Pool
from pools.values import check_together, checked, known
from pools.wake import wake


@transaction.atomic
def create_pool(
    *,
    actor: Actor,
    name: str,
    template: VmTemplate,
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

    `name` is its short name, for names of desktops and addresses; `version` None is always the newest ready one,
    `storage` None for each desktop the one with the most free space. `more`: `suspended`, `zone`, `schedule`,
    `hours`, `after_hours`, `forecast`, `protected`, as the model has them.
    Raises Missing, Denied, Invalid, or Conflict when there is a pool of that name.
    """
    require(actor, "pool.manage", template.cluster)
    require(actor, "template.use", template)
    if storage is not None:
        require(actor, "storage.view", storage)
    if network is not None:
        require(actor, "network.view", network)
    values: dict[str, Any] = checked(
        name=name, title=title or name, description=description, kind=kind, stateful=stateful, size=size,
        prestarted=prestarted, max_per_user=max_per_user, name_pattern=name_pattern, **known(more),
    )  # fmt: skip
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
                cluster=template.cluster, template=template, version=version, storage=storage, network=network, **values
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
