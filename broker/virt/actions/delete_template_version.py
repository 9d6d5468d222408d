"""Delete one version of a template, with its image."""

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.errors import Busy
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.jobs.enqueue import enqueue
from broker.jobs.models import Job
from broker.jobs.states import ACTIVE
from broker.virt.models import TemplateVersion, VirtualMachine
from broker.virt.states import VERSION
from broker.virt.version_use import refuse_if_needed


@transaction.atomic
def delete_template_version(*, actor: Actor, version: TemplateVersion, whole: bool = False) -> Job:
    """Enqueue it; with `whole`, the template goes along if this was its last version.

    Raises Missing, Denied, Busy, or Conflict naming the machines and pools that need it. Machines that are full
    copies do not need it.
    """
    require(actor, "template.manage", version.template)
    TemplateVersion.objects.select_for_update().get(pk=version.pk)
    VirtualMachine.objects.filter(template_version=version, linked=False).update(template_version=None)
    refuse_if_needed(actor, version, [version])
    _refuse_while_made(version)
    was = version.state
    VERSION.move(version, "delete")
    record(
        "template.delete-version.asked", actor=actor, subject=version.template,
        message=N_("Deletion of %(version)s was asked for"), version=version,
    )  # fmt: skip
    publish("template", version.template_id, "changed")
    return enqueue("template.delete-version", actor=actor, subject=version, args={"was": was, "whole": whole})


def _refuse_while_made(version: TemplateVersion) -> None:
    """A version being made from a machine has its job on the machine."""
    job = Job.objects.filter(plan="template.make", state__in=ACTIVE, args__version=str(version.pk)).first()
    if job is not None:
        raise Busy(
            N_("%(name)s is being made from %(machine)s."), fix=N_("Wait until that is done, or cancel it."),
            name=str(version), machine=job.subject_name,
        )  # fmt: skip
