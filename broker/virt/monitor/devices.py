"""Which devices a host has for machines: asked now and then, written where it differs."""

from dataclasses import asdict

from django.db import transaction

from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.virt.driver import HostConnection
from broker.virt.models import DeviceUse, Host, HostDevice

from .surprise import MONITOR

_WRITTEN = ("kind", "address", "vendor", "product", "title", "driver", "group", "unfit", "present")


def look(host: Host, connection: HostConnection) -> None:
    """One that is gone is forgotten, unless a machine has it: of that an event tells."""
    seen = {
        one.spec.key: HostDevice(
            host=host, key=one.spec.key, title=one.title[:255], driver=one.driver[:64], group=one.group,
            unfit=one.unfit, **asdict(one.spec),
        )
        for one in connection.host_devices()
    }  # fmt: skip
    known = {row.key: row for row in HostDevice.objects.filter(host=host)}
    new = [row for key, row in seen.items() if key not in known]
    differ = [
        row
        for key, row in seen.items()
        if key in known and any(_of(row, name) != _of(known[key], name) for name in _WRITTEN)
    ]
    gone = [row for key, row in known.items() if key not in seen and row.present]
    if not (new or differ or gone):
        return
    with transaction.atomic():
        HostDevice.objects.bulk_create(new, ignore_conflicts=True)
        for row in differ:
            HostDevice.objects.filter(pk=known[row.key].pk).update(**{name: _of(row, name) for name in _WRITTEN})
        for row in gone:
            _lose(host, row)
        publish("host", host.pk, "changed")


def _of(row: HostDevice, name: str) -> object:
    return getattr(row, name)


def _lose(host: Host, row: HostDevice) -> None:
    having = list(DeviceUse.objects.filter(device=row).select_related("vm"))
    if not having:
        row.delete()
        return
    HostDevice.objects.filter(pk=row.pk).update(present=False)
    for use in having:
        record(
            "vm.device-lost", actor=MONITOR, subject=use.vm, severity="warning", name=use.vm.name, device=row.name,
            host=host.name, message=N_("The device %(device)s of %(name)s is not in %(host)s any more"),
        )  # fmt: skip
