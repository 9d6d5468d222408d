"""The verbs there are, so that a role with a typing error is refused instead of granting nothing."""

from broker.core.errors import Invalid
from broker.core.text import gettext_noop as N_

from .roles import covers

VERBS = frozenset(
    {
        "vm.view", "vm.use", "vm.power", "vm.edit", "vm.create", "vm.delete",
        "pool.view", "pool.use", "pool.manage",
        "host.view", "host.manage",
        "template.view", "template.use", "template.manage",
        "storage.view", "storage.manage",
        "network.view", "network.manage",
        "cluster.view", "cluster.manage",
        "job.view", "job.cancel",
        "event.view",
        "user.view", "user.manage",
        "group.view",
        "system.view", "system.manage",
    }
)  # fmt: skip


def checked_verbs(patterns: list[str]) -> list[str]:
    """The patterns, sorted and without doubles. Raises Invalid for one that stands for no verb at all."""
    for pattern in patterns:
        if not any(covers([pattern], verb) for verb in VERBS):
            raise Invalid(
                N_("There is no right called %(verb)s."),
                field="verbs",
                fix=N_('Use names like "vm.power", or "vm.*" and "*.view" for several.'),
                verb=pattern[:64],
            )
    return sorted(set(patterns))
