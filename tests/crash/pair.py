"""A cluster of its own for moves: the stage's hypervisor once more, and a second one that sees the same disks."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from broker.virt import specs
from broker.virt.driver import HostConnection
from broker.virt.drivers import load
from broker.virt.models import Cluster, Host, StorageDomain, TemplateVersion, VmTemplate
from tests.lab.host import LabHost
from tests.world import World


@dataclass
class Pair:
    """`version`: what machines of the pair are made from; `there`: the line to the target.

    `alone`: held by the scenario that needs to know whether the target is open.
    """

    right: Host
    version: TemplateVersion
    there: HostConnection
    alone: threading.RLock = field(default_factory=threading.RLock)

    @classmethod
    def build(cls, world: World, target: LabHost) -> "Pair":
        cluster = Cluster.objects.create(name="pair", migration={"at_once": 100, "encrypted": False})
        room = {"memory_bytes": 64 << 30, "memory_free_bytes": 64 << 30}
        Host.objects.create(cluster=cluster, name="left", uri=world.host.uri, **room)
        right = Host.objects.create(cluster=cluster, name="right", uri=target.tcp_uri, **room)
        storage = StorageDomain.objects.create(cluster=cluster, name="pair", path=world.storage.path)
        template = VmTemplate.objects.create(cluster=cluster, name="pair", os_name="none")
        version = TemplateVersion.objects.create(
            template=template, number=1, state="ready", storage=storage, volume=world.version.volume,
            size_bytes=1 << 20, vcpus=1, memory_mib=16, graphics=["vnc"],
        )  # fmt: skip
        there = load("libvirt").connect(target.uri, timeout=20)
        there.ensure_storage(specs.storage_spec(storage))
        return cls(right, version, there)

    @contextmanager
    def target_closed(self) -> Iterator[None]:
        """Have machines placed on the other host meanwhile."""
        with self.alone:
            Host.objects.filter(pk=self.right.pk).update(state="maintenance")
            yield
            Host.objects.filter(pk=self.right.pk).update(state="active")
