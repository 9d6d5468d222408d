"""Make a new version of a template from an image file in the import directory."""

from collections.abc import Mapping
from typing import Any

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.errors import Invalid
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.jobs.enqueue import enqueue
from broker.jobs.models import Job
from broker.virt import images, machine_options, names
from broker.virt.models import StorageDomain, TemplateVersion, VmTemplate
from broker.virt.origins import MACHINES
from broker.virt.sizes import LEAST_MEMORY_MIB, MOST_MEMORY_MIB, MOST_VCPUS
from broker.virt.storage_rules import require_usable

CONSOLES = ("vnc", "spice")


@transaction.atomic
def import_template_version(
    *,
    actor: Actor,
    template: VmTemplate,
    storage: StorageDomain,
    source: str,
    vcpus: int = 1,
    memory_mib: int = 1024,
    machine: str = "q35",
    graphics: tuple[str, ...] | list[str] = ("vnc",),
    options: Mapping[str, Any] | None = None,
    notes: str = "",
) -> Job:
    """Enqueue the import; returns the job, whose `subject_id` is the new version's id.

    `source`: the name of a qcow2 image in the import directory (see broker/virt/images.py); its header is looked
    at here, all of it in the job. The hardware is what machines made from the version get; `options`: more of it, by
    machine_options.py.
    Raises Missing, Denied, Invalid or Busy.
    """
    require(actor, "template.manage", template)
    require(actor, "storage.view", storage)
    names.number(vcpus, field="vcpus", least=1, most=MOST_VCPUS)
    names.number(memory_mib, field="memory_mib", least=LEAST_MEMORY_MIB, most=MOST_MEMORY_MIB)
    _one_of("machine", [machine], MACHINES)
    _one_of("graphics", graphics, CONSOLES)
    chosen = machine_options.changed({}, options or {})
    machine_options.ensure_fits(options=chosen, vcpus=vcpus, memory_mib=memory_mib, machine=machine)
    require_usable(storage)
    if storage.cluster_id != template.cluster_id:
        raise Invalid(
            N_("%(name)s belongs to another cluster."),
            field="storage",
            fix=N_("Choose storage of the template's cluster."),
            name=storage.name,
        )
    facts = images.inspect(source, thoroughly=False)
    VmTemplate.objects.select_for_update().get(pk=template.pk)
    last = template.versions.order_by("-number").values_list("number", flat=True).first() or 0
    version = TemplateVersion(
        template=template,
        number=last + 1,
        notes=names.description(notes, field="notes"),
        storage=storage,
        size_bytes=facts.capacity,
        vcpus=vcpus,
        memory_mib=memory_mib,
        machine=machine,
        graphics=list(graphics),
        options=chosen,
    )
    version.volume = f"template-{version.id}.qcow2"
    version.save(force_insert=True)
    record(
        "template.import.asked",
        actor=actor,
        subject=template,
        message=N_("Import of %(source)s as %(version)s was asked for"),
        source=facts.path.name,
        version=version,
    )
    publish("template", template.pk, "changed")
    return enqueue("template.import", actor=actor, subject=version, args={"source": facts.path.name})


def _one_of(field: str, given: tuple[str, ...] | list[str], known: tuple[str, ...]) -> None:
    if not given or not set(given) <= set(known):
        raise Invalid(N_("This is not offered."), field=field, fix=N_("Use one of: %(known)s."), known=", ".join(known))
