"""Which address belongs to which card: what the networks' DHCP on a host gave away, written where it differs."""

from broker.events.news import publish
from broker.virt.driver import HostConnection
from broker.virt.models import Host, Network, Nic


def look(host: Host, connection: HostConnection) -> None:
    """Ask the networks that machines of `host` are on. A card that has no lease there any more has none."""
    cards = Nic.objects.filter(vm__host=host, plugged=True)
    for network in Network.objects.filter(pk__in=cards.exclude(network__subnet="").values("network")):
        told = {lease.mac.lower(): lease.address for lease in connection.leases(network.host_name)}
        changed = [nic for nic in cards.filter(network=network) if nic.leased != told.get(nic.mac, "")]
        for nic in changed:
            nic.leased = told.get(nic.mac, "")[:45]
        if changed:
            Nic.objects.bulk_update(changed, ("leased",))
            publish("network", network.pk, "changed")
