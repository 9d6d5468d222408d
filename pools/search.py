"""The words about pools in the search for machines."""

from broker.core.text import gettext_noop as N_
from broker.virt.search.fields import FIELDS
from broker.virt.search.kinds import Name

FIELDS.add(
    "pool",
    Name(help=N_("Its pool"), path="desktop__pool__title", through="pools.Pool", verb="pool.view", free=True),
)
FIELDS.add("holder", Name(help=N_("Who it is given to"), path="desktop__holder__username", free=True))
