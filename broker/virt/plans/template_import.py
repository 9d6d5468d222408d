"""template.import: inspect an image, copy it into storage, and make the version ready.

args: `source` (file name in the import directory). The copy is named after the version's id, so that a
resumed job continues with the same file.
"""

from broker.core.errors import NoCapacity
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.jobs.context import Context
from broker.jobs.plans import Plan, Step, register
from broker.jobs.runner import JobActor
from broker.virt import hosts, images, work
from broker.virt.driver import HostConnection, StorageSpec, VolumeInfo
from broker.virt.models import Host, StorageDomain, TemplateVersion
from broker.virt.states import HOST, VERSION, VersionState


def version_of(ctx: Context) -> TemplateVersion:
    return TemplateVersion.objects.select_related("storage", "template").get(pk=ctx.job.subject_id)


def host_for(storage: StorageDomain) -> Host:
    """A host that sees `storage` and answered when last asked."""
    hosts = Host.objects.filter(cluster_id=storage.cluster_id)
    if storage.host_id:
        hosts = hosts.filter(pk=storage.host_id)
    found = sorted(hosts, key=lambda host: (bool(host.error), not HOST.is_(host.state, "schedulable"), host.name))
    if not found:
        raise NoCapacity(
            N_("No host sees the storage %(name)s."),
            rule="placement.storage",
            fix=N_("Add a host to its cluster."),
            name=storage.name,
        )
    return found[0]


def inspect(ctx: Context) -> None:
    facts = images.inspect(ctx.args["source"])
    with ctx.write():
        TemplateVersion.objects.filter(pk=ctx.job.subject_id).update(size_bytes=facts.capacity)


def remove_row(ctx: Context) -> None:
    with ctx.write():
        TemplateVersion.objects.filter(pk=ctx.job.subject_id, state=VersionState.BUILDING).delete()
        publish("template-version", ctx.job.subject_id, "deleted")


def copy(ctx: Context) -> None:
    """Looked at again first: the file may have been exchanged since. It lies here, and is sent to a host elsewhere."""
    version, facts = version_of(ctx), images.inspect(ctx.args["source"])
    image = VolumeInfo(
        name=facts.path.name, path=str(facts.path), format="qcow2", capacity=facts.capacity, allocation=facts.size
    )
    at = host_for(version.storage)

    def told(share: float) -> None:
        ctx.progress(share, N_("Copying the image"))

    def put(host: HostConnection, storage: StorageSpec) -> VolumeInfo:
        if hosts.elsewhere(at):
            return host.store_volume(storage, version.volume, facts.path, progress=told)
        return host.copy_volume(storage, version.volume, source=image, progress=told)

    work.with_storage(ctx, at, version.storage, put)


def remove_copy(ctx: Context) -> None:
    version = version_of(ctx)
    wipe = version.storage.wipe_after_delete
    work.delete_volume(ctx, host_for(version.storage), version.storage, version.volume, wipe=wipe)


def make_ready(ctx: Context) -> None:
    version = version_of(ctx)
    with ctx.write():
        VERSION.move(version, "built")
        record(
            "template.imported", actor=JobActor(ctx.job), subject=version.template,
            message=N_("Version %(number)s of %(name)s is ready"), number=version.number, name=version.template.name,
        )  # fmt: skip
        publish("template", version.template_id, "changed")


def is_ready(ctx: Context) -> bool:
    return version_of(ctx).state == VersionState.READY


register(
    Plan(
        "template.import",
        N_("Import"),
        "template-version",
        (
            Step("inspect", inspect, N_("Look at the image"), undo=remove_row),
            Step("copy", copy, N_("Copy the image"), undo=remove_copy),
            Step(
                "ready", make_ready, N_("Finish"), probe=is_ready, last_exit=True,
                no_undo="A transaction: the version is ready, or nothing happened.",
            ),
        ),
    )
)  # fmt: skip
