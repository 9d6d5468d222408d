"""Add a host. Nothing is asked of it here: the monitor finds it and says what it is."""

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.virt import drivers, names, rows
from broker.virt.models import Cluster, Host
from broker.virt.ssh.host_key import normal


@transaction.atomic
def create_host(
    *,
    actor: Actor,
    cluster: Cluster,
    name: str,
    driver: str = "libvirt",
    uri: str = "qemu:///system",
    host_key: str = "",
) -> Host:
    """`host_key`: what it has to show over SSH, a key or its fingerprint; "": the first that it shows counts.

    Raises Missing, Denied, Invalid or Conflict (the name is taken)."""
    require(actor, "host.manage", cluster)
    host = Host(
        cluster=cluster,
        name=names.name(name),
        driver=driver,
        uri=names.host_uri(uri),
        host_key=normal(host_key),
    )
    drivers.load(driver)
    rows.insert(host)
    record("host.created", actor=actor, subject=host, message=N_("Host %(name)s was added"), name=host.name)
    publish("host", host.pk, "created")
    return host
