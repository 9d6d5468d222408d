"""Give a machine one more network card, also while it runs."""

from django.db import IntegrityError, transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.errors import Conflict
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.jobs.enqueue import enqueue
from broker.virt import macs, names, nics, pending
from broker.virt.asking import require_idle, require_usable
from broker.virt.models import Network, Nic, VirtualMachine


@transaction.atomic
def create_nic(
    *,
    actor: Actor,
    vm: VirtualMachine,
    network: Network,
    mac: str = "",
    model: str = Nic.Model.VIRTIO,
    connected: bool = True,
    in_kib: int = 0,
    out_kib: int = 0,
    guard: str = "",
    now: bool = True,
) -> Nic:
    """Returns the card. Of a machine that is off it is there at once; into one that runs a job plugs it (`now`), or
    its next start. `mac`: empty, one of the cluster's is made; any other may be given. `guard`: what it may send as,
    empty: as the network says.
    Raises Missing, Denied, Invalid, Conflict or Busy.
    """
    require(actor, "vm.edit", vm)
    require(actor, "network.view", network)
    nics.ensure_in_cluster(vm, network)
    given = {"model": model, "connected": connected, "in_kib": in_kib, "out_kib": out_kib, "guard": guard}
    values = nics.checked(given)
    mac = names.mac(mac) if mac else ""
    vm = VirtualMachine.objects.select_for_update().get(pk=vm.pk)
    require_usable(vm)
    if mac:
        nics.ensure_free(mac)
    orders = list(vm.nics.values_list("order", flat=True))
    if len(orders) >= nics.MOST:
        raise Conflict(
            N_("%(name)s has %(most)s cards already."), rule="nic.most", fix=N_("Remove one first."), name=vm.name,
            most=nics.MOST,
        )  # fmt: skip
    off = pending.is_off(vm)
    nic = Nic(vm=vm, network=network, mac=mac, order=max(orders, default=-1) + 1, plugged=off, **values)
    if mac:
        _insert(nic)
    else:
        macs.plug(nic)
    record(
        "vm.nic.asked", actor=actor, subject=vm, message=N_("%(name)s gets a card on %(network)s"), name=vm.name,
        network=network.name,
    )  # fmt: skip
    publish("vm", vm.pk, "changed")
    if off:
        require_idle(vm)
        return nic
    pending.keep_part(nic, {"plug": True}, actor=actor)
    if now and vm.power_state in pending.UP:
        enqueue("vm.change", actor=actor, subject=vm)
    return nic


def _insert(nic: Nic) -> None:
    try:
        with transaction.atomic():
            nic.save(force_insert=True)
    except IntegrityError:
        nics.ensure_free(nic.mac)
        raise
