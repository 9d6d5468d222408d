"""Delete a template with all its versions."""

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.jobs.models import Job
from broker.virt import rows
from broker.virt.models import VirtualMachine, VmTemplate
from broker.virt.version_use import refuse_if_needed

from .delete_template_version import delete_template_version


@transaction.atomic
def delete_template(*, actor: Actor, template: VmTemplate) -> list[Job]:
    """Enqueue the removal of each version's image; the last one takes the template along. Without versions: at once.

    Raises Missing, Denied, Busy, or Conflict naming who uses the template or one of its versions: all of them at once,
    and nothing is deleted.
    """
    require(actor, "template.manage", template)
    versions = list(template.versions.select_related("template"))
    VirtualMachine.objects.filter(template_version__in=versions, linked=False).update(template_version=None)
    refuse_if_needed(actor, template, [template, *versions])
    message = N_("Deletion of template %(name)s was asked for")
    record("template.delete.asked", actor=actor, subject=template, message=message, name=template.name)
    if not versions:
        pk = template.pk
        rows.remove(template)
        publish("template", pk, "deleted")
    return [delete_template_version(actor=actor, version=version, whole=True) for version in versions]
