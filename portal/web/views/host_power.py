"""What a host's page says of switching it off to save power: whether it may be, why it is not, since when it is."""

from django.utils.translation import gettext as _

from broker.core import clock
from broker.virt.models import Host
from broker.virt.placement.policy import Policy
from broker.virt.power_facts import holding, wake_seconds
from broker.virt.states import HostState
from portal.web.parts import Pair


def power_of(host: Host) -> list[Pair]:
    if host.state == HostState.ASLEEP:
        lasts = wake_seconds()
        waking = _("takes about %(seconds)s s, as measured before") % {"seconds": round(lasts)} if lasts else "–"
        asleep = [Pair(_("Asleep since"), moment=host.asleep_at)] if host.asleep_at else []
        return [*asleep, Pair(_("Waking"), waking)]
    return [Pair(_("Switched off to save power"), _may(host))]


def _may(host: Host) -> str:
    if not host.may_sleep:
        return _("never")
    policy = Policy.of(host.cluster.rules)
    if not policy.switches_hosts:
        return _("allowed, but its cluster does not do it")
    if why := holding(host.cluster_id).get(host.pk):
        return _("allowed; it stays on now: %(why)s") % {"why": _(why)}
    if host.empty_since is None:
        return _("allowed; it is in use")
    minutes = int((clock.now() - host.empty_since).total_seconds() // 60)
    return _("allowed; nothing has run on it for %(minutes)s minutes") % {"minutes": minutes}
