"""The cast of every test: who is who, and the smallest cluster they live in."""

from dataclasses import dataclass

from broker.access.actor import Actor
from broker.access.models import Grant, Role
from broker.access.roles import sync_builtin_roles
from broker.directories.models import Directory, Group, User
from broker.virt.models import Cluster, Host, Network, StorageDomain, TemplateVersion, VmTemplate
from broker.virt.states import VersionState

PASSWORD = "correct horse battery"
GIB = 1024**3


@dataclass
class World:
    """Alice is entitled to what a test grants `staff`'s member or her; Charlie never to anything."""

    directory: Directory
    alice: User
    bob: User
    charlie: User
    root: User
    staff: Group
    cluster: Cluster
    host: Host
    storage: StorageDomain
    network: Network
    template: VmTemplate
    version: TemplateVersion

    @classmethod
    def build(cls, *, driver: str = "simulated", uri: str = "sim://host-1", path: str = "/sim/storage") -> "World":
        sync_builtin_roles()
        directory = Directory.objects.create(name="Local", kind="local")
        people = {}
        for name in ("alice", "bob", "charlie", "root"):
            person = User(directory=directory, username=name, display_name=name.title())
            person.set_password(PASSWORD)
            person.save()
            people[name] = person
        staff = Group.objects.create(directory=directory, name="staff")
        staff.members.add(people["bob"])
        Grant.objects.create(user=people["root"], role=Role.objects.get(name="admin"))
        cluster = Cluster.objects.create(name="main")
        host = Host.objects.create(
            cluster=cluster, name="host-1", driver=driver, uri=uri, cpus=8, memory_bytes=64 * GIB,
            memory_free_bytes=64 * GIB, graphics=["vnc"],
        )  # fmt: skip
        storage = StorageDomain.objects.create(
            cluster=cluster, name="disks", path=path, capacity_bytes=1000 * GIB, available_bytes=900 * GIB
        )
        network = Network.objects.create(cluster=cluster, name="default", kind="isolated")
        template = VmTemplate.objects.create(cluster=cluster, name="desk", os_name="Debian 12")
        version = TemplateVersion.objects.create(
            template=template, number=1, state=VersionState.READY, storage=storage, volume="template-desk-1.qcow2",
            size_bytes=4 * GIB, vcpus=1, memory_mib=512, graphics=["vnc"],
        )  # fmt: skip
        return cls(
            directory=directory, staff=staff, cluster=cluster, host=host, storage=storage, network=network,
            template=template, version=version, **people,
        )  # fmt: skip

    def actor(self, name: str) -> Actor:
        """A fresh Actor (grants unread) for "alice", "bob", "charlie" or "root"."""
        return Actor.for_user(User.objects.get(username=name))

    def grant(self, subject: User | Group, role: str, obj=None) -> Grant:
        """Give a role on `obj`, or on the system."""
        who = {"user": subject} if isinstance(subject, User) else {"group": subject}
        on = {} if obj is None else {"object_kind": obj.access_kind, "object_id": obj.pk}
        return Grant.objects.create(role=Role.objects.get(name=role), **who, **on)
