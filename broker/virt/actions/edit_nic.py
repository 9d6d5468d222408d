"""Change a network card: its network, its cable, its limits, its model, what it may send as; also while it runs."""

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.errors import Missing
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.jobs.enqueue import enqueue
from broker.virt import nics, pending
from broker.virt.asking import require_idle, require_usable
from broker.virt.models import Network, Nic, VirtualMachine


@transaction.atomic
def edit_nic(
    *,
    actor: Actor,
    nic: Nic,
    network: Network | None = None,
    model: str | None = None,
    connected: bool | None = None,
    in_kib: int | None = None,
    out_kib: int | None = None,
    guard: str | None = None,
    now: bool = True,
) -> Nic:
    """Write what is given (None: leave) at once while the machine is off; else note it for its next start, and (`now`)
    have a job give it to the run. Returns the card as it is now. Raises Missing, Denied, Invalid, Conflict or Busy.
    """
    require(actor, "vm.edit", nic.vm)
    values = nics.checked(
        {"model": model, "connected": connected, "in_kib": in_kib, "out_kib": out_kib, "guard": guard}
    )
    if network is not None:
        require(actor, "network.view", network)
        nics.ensure_in_cluster(nic.vm, network)
    vm = VirtualMachine.objects.select_for_update().get(pk=nic.vm_id)
    require_usable(vm)
    if pending.is_off(vm):
        require_idle(vm)
        pending.fold(vm)
        found = Nic.objects.select_related("network", "vm").filter(pk=nic.pk).first()
        if found is None:
            raise Missing(
                N_("There is no such card."), fix=N_("It was to go with the machine's next start, and is gone.")
            )
        nic = found
    noted = pending.of_part(pending.of(vm), nic)
    if network is not None:
        values["network"] = str(network.pk)
    present = {name: str(nic.network_id) if name == "network" else getattr(nic, name) for name in values}
    changed = {name for name, value in values.items() if noted.get(name, present[name]) != value}
    if not changed:
        return nic
    record(
        "vm.nic.edited", actor=actor, subject=vm, message=N_("The card %(mac)s of %(name)s was changed: %(fields)s"),
        mac=nic.mac, name=vm.name, fields=", ".join(sorted(changed)),
    )  # fmt: skip
    publish("vm", vm.pk, "changed")
    if pending.is_off(vm):
        pending.settle_part(nic, values)
        return nic
    kept = {**noted, **values}
    pending.keep_part(
        nic, {name: value for name, value in kept.items() if present.get(name, object()) != value}, actor=actor
    )
    if now and vm.power_state in pending.UP:
        enqueue("vm.change", actor=actor, subject=vm)
    return nic
