"""The host agrees with what the machine's affinity groups demand."""

from broker.core.errors import Reason
from broker.core.text import gettext_noop as N_
from broker.virt.placement.facts import HostFacts, Request
from broker.virt.placement.wishes import agrees

WORDS = N_("an affinity group forbids it")
HELP = N_("Make the affinity group a wish instead of a demand, or take the machine out of it.")
_SENTENCES = {
    ("machines", True): N_("the machines of “%(group)s” run elsewhere and must be together"),
    ("machines", False): N_("another machine of “%(group)s” runs there, and they must be apart"),
    ("hosts", True): N_("“%(group)s” demands other hosts"),
    ("hosts", False): N_("“%(group)s” forbids this host"),
}


def check(request: Request, host: HostFacts) -> Reason | None:
    for one in request.affinities:
        if one.hard and not agrees(one, host.id):
            return Reason(host.name, "affinity", _SENTENCES[one.of, one.together], group=one.group)
    return None
