"""The words of the search for machines. A further one is a line here, or FIELDS.add in the app of its column."""

from broker.core.registry import Registry
from broker.core.text import gettext_noop as N_

from .kinds import Choice, Field, Listed, Moment, Name, Number

MIB = 1024**2
YES_NO = {"yes": (True,), "no": (False,)}
STATUS = {
    "up": ("running",), "down": ("off", "suspended", "crashed"), "running": ("running",), "off": ("off",),
    "paused": ("paused",), "suspended": ("suspended",), "crashed": ("crashed",), "missing": ("missing",),
    "unknown": ("unknown",),
}  # fmt: skip
STATES = {word: (word,) for word in ("ready", "creating", "deleting", "broken")}

FIELDS: Registry[Field] = Registry("search field")
for _name, _field in {
    "name": Name(help=N_("Its name"), path="name", free=True),
    "title": Name(help=N_("Its title"), path="title", free=True),
    "description": Name(help=N_("Its description"), path="description", sorts=False),
    "status": Choice(help=N_("What its host says of it"), path="power_state", options=STATUS),
    "state": Choice(help=N_("Its life"), path="state", options=STATES),
    "cpu": Number(help=N_("Processor use in percent"), path="cpu_percent"),
    "vcpus": Number(help=N_("Number of processors"), path="vcpus"),
    "memory": Number(help=N_("Its memory, as 512m or 4g"), path="memory_mib", unit=MIB),
    "used": Number(help=N_("Memory in use, as 512m or 4g"), path="memory_used_bytes", unit=1),
    "host": Name(help=N_("The host it is on"), path="host__name", through="virt.Host", verb="host.view"),
    "cluster": Name(help=N_("Its cluster"), path="cluster__name", through="virt.Cluster", verb="cluster.view"),
    "template": Name(
        help=N_("Its template"), path="template_version__template__name", through="virt.VmTemplate",
        verb="template.view",
    ),
    "network": Name(help=N_("A network it is in"), path="nics__network__name", through="virt.Network", many=True),
    "storage": Name(
        help=N_("A storage it has disks on"), path="disks__storage__name", through="virt.StorageDomain", many=True
    ),
    "mac": Name(help=N_("A hardware address of it"), path="nics__mac", many=True),
    "address": Listed(help=N_("An address of it"), path="guest__addresses"),
    "os": Name(help=N_("What its guest says it is"), path="guest__os_name", sorts=False),
    "tag": Name(help=N_("A tag of it"), path="tags__name", many=True),
    "label": Listed(help=N_("A label for placement"), path="labels"),
    "owner": Name(help=N_("Who made it"), path="owner__username"),
    "protected": Choice(help=N_("Protected from being deleted"), path="protected", options=YES_NO),
    "available": Choice(help=N_("Highly available"), path="available", options=YES_NO),
    "autostart": Choice(help=N_("Starts with its host"), path="autostart", options=YES_NO),
    "created": Moment(help=N_("When it was made: a day, or how long ago"), path="created_at"),
    "age": Moment(help=N_("How old it is, as 7d"), path="created_at", ago=True),
    "uptime": Moment(help=N_("How long it runs, as 12h"), path="booted_at", ago=True, only={"power_state": "running"}),
}.items():  # fmt: skip
    FIELDS.add(_name, _field)
