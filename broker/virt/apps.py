"""App: hosts, storage, networks, templates and machines."""

from django.apps import AppConfig
from django.conf import settings


class VirtConfig(AppConfig):
    name = "broker.virt"

    def ready(self) -> None:
        from broker.access.kinds import register
        from broker.access.quota import register_meter

        from . import plans
        from .quotas import Machines

        register("cluster", "virt.Cluster")
        register("host", "virt.Host", {"cluster": "cluster_id"})
        register("storage", "virt.StorageDomain", {"cluster": "cluster_id"})
        register("image", "virt.Image", {"storage": "storage_id", "cluster": "storage__cluster_id"})
        register(
            "disk", "virt.FloatingDisk", {"storage": "storage_id", "cluster": "storage__cluster_id"},
            owner="owner_id", owner_verbs=("disk.view", "disk.manage"),
        )  # fmt: skip
        register("device", "virt.HostDevice", {"host": "host_id", "cluster": "host__cluster_id"})
        register("affinity-group", "virt.AffinityGroup", {"cluster": "cluster_id"})
        register("network", "virt.Network", {"cluster": "cluster_id"})
        register("template", "virt.VmTemplate", {"cluster": "cluster_id"})
        register(
            "template-version", "virt.TemplateVersion", {"template": "template_id", "cluster": "template__cluster_id"}
        )
        register(
            "vm",
            "virt.VirtualMachine",
            {"cluster": "cluster_id", "pool": "desktop__pool_id"},
            owner="desktop__holder_id",
            owner_verbs=("vm.view", "vm.use", "vm.power"),
        )
        register("physical-machine", "virt.PhysicalMachine", {"cluster": "vm__cluster_id"})
        register_meter(Machines())
        if settings.LOAD_PLANS:
            plans.load()
