"""Does a host that power management calls off renew its leases on LUNs? Then power management lies.

Where disks are files their locks refuse a second start; nothing locks a LUN, so this is looked at before anything of
such a host is restarted.
"""

from datetime import datetime, timedelta
from enum import StrEnum

from broker.virt.models import Host, HostHealth, HostSign, StorageDomain

from .judge import LEASE

LEAST_PROMISE = 10.0
PATIENCE = timedelta(seconds=15)  # for somebody to look; if nobody does, power management's word is all there is


class Doubt(StrEnum):
    NONE = "none"
    WAIT = "wait"
    LIE = "lie"


def doubt(host: Host, *, cut: datetime, now: datetime) -> Doubt:
    """`cut`: when its power was cut. What was renewed before may be heard of half a promise later, and no more."""
    health = HostHealth.objects.filter(host=host).first()
    luns = StorageDomain.objects.filter(cluster=host.cluster_id, kind=StorageDomain.Kind.ISCSI)
    names = [str(pk) for pk in luns.values_list("pk", flat=True)]
    found = Doubt.NONE
    for sign in HostSign.objects.filter(host=host, source=LEASE, by__in=names):
        pair = health.seen.get(str(sign)) if health else None
        if pair is None or sign.looked_at is None:
            continue
        moved, late = datetime.fromisoformat(pair[1]), timedelta(seconds=max(sign.promise, LEAST_PROMISE) / 2)
        if moved > cut + late:
            return Doubt.LIE
        if sign.looked_at - moved < late and now < cut + late + PATIENCE:
            found = Doubt.WAIT
    return found
