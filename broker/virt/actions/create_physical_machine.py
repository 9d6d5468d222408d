"""Add a PC that no hypervisor runs. It is not looked for here: the duty finds out whether it is on."""

from collections.abc import Sequence

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.virt import names, own, rows
from broker.virt.driver import PowerState
from broker.virt.models import Cluster, PhysicalMachine, VirtualMachine
from broker.virt.physical import rules
from broker.virt.states import VM


@transaction.atomic
def create_physical_machine(
    *,
    actor: Actor,
    cluster: Cluster,
    name: str,
    address: str,
    title: str = "",
    notes: str = "",
    tags: Sequence[str] = (),
    mac: str = "",
    broadcast: str = "",
    vnc_port: int | None = None,
    vnc_password: str = "",
    rdp_port: int | None = None,
    probe_port: int | None = None,
) -> PhysicalMachine:
    """The arguments are the columns of PhysicalMachine, and what is noted of any machine; `vnc_password` is sealed.

    `cluster`: whose administrators look after it. Raises Missing, Denied, Invalid or Conflict (the name is taken).
    """
    require(actor, "host.manage", cluster)
    values = rules.checked(
        {
            "address": address, "mac": mac, "broadcast": broadcast, "vnc_port": vnc_port, "vnc_password": vnc_password,
            "rdp_port": rdp_port, "probe_port": probe_port,
        }
    )  # fmt: skip
    rules.require_a_way(**values)
    vm = VirtualMachine(
        cluster=cluster,
        name=names.name(name),
        title=names.title(title),
        notes=names.description(notes, field="notes"),
        machine=rules.PHYSICAL,
        vcpus=0,
        memory_mib=0,
        power_state=PowerState.UNKNOWN,
    )
    rows.insert(vm)
    VM.move(vm, "created")
    own.write(vm, tags=tags)
    pc = PhysicalMachine(vm=vm, **values)
    pc.save(force_insert=True)
    record(
        "vm.physical.created", actor=actor, subject=vm, message=N_("The physical PC %(name)s was added"), name=vm.name
    )
    publish("vm", vm.pk, "created")
    return pc
