"""What a machine was made of, kept with its backups so that they outlive it.

Every editable column of the machine that is no reference is kept by its name: a column that comes later is kept from
then on, and one that has gone is left out when the machine is made again.
"""

from typing import Any

from django.core.serializers.json import DjangoJSONEncoder

from broker.directories.models import User
from broker.virt import macs
from broker.virt.driver import PowerState
from broker.virt.models import Network, Nic, VirtualMachine

from .models import Backup

_OWN = frozenset(
    {
        "id",
        "name",
        "state",
        "protected",
        "created_at",
        "shutdown_asked_at",
        "power_state",
        "power_reason",
        "linked",
        "autostart",
    }
)


def of(vm: VirtualMachine) -> dict[str, Any]:
    """The machine's columns and cards, fit for JSON."""
    encode = DjangoJSONEncoder().default
    columns = {}
    for field in _columns():
        value = getattr(vm, field.attname)
        plain = value is None or isinstance(value, str | int | float | bool | list | dict)
        columns[field.attname] = value if plain else encode(value)
    nics = [{"network": str(nic.network_id), "mac": nic.mac, "order": nic.order} for nic in vm.nics.all()]
    version = None if vm.template_version_id is None else str(vm.template_version_id)
    return {"columns": columns, "nics": nics, "template_version": version}


def machine(backup: Backup, *, name: str, owner: User | None) -> VirtualMachine:
    """A machine like that of the backup, not saved."""
    known = {field.attname for field in _columns()}
    columns = {key: value for key, value in backup.hardware.get("columns", {}).items() if key in known}
    return VirtualMachine(
        **columns, cluster=backup.target.cluster, name=name, owner=owner, linked=False,
        power_state=PowerState.UNKNOWN,
    )  # fmt: skip


def plug(vm: VirtualMachine, backup: Backup) -> None:
    """Its cards, where their networks are still there; an address that another machine has by now is a new one."""
    cards = backup.hardware.get("nics", [])
    networks = Network.objects.filter(cluster=vm.cluster_id).in_bulk([card["network"] for card in cards])
    there = {str(pk): network for pk, network in networks.items()}
    macs.plug_all([
        Nic(vm=vm, network=there[card["network"]], order=card["order"], mac=card["mac"])
        for card in cards if card["network"] in there
    ])  # fmt: skip


def _columns() -> list[Any]:
    return [
        field
        for field in VirtualMachine._meta.concrete_fields
        if field.editable and not field.is_relation and field.name not in _OWN
    ]
