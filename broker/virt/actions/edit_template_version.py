"""Change what is noted of a template version."""

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.virt import names
from broker.virt.models import TemplateVersion


@transaction.atomic
def edit_template_version(*, actor: Actor, version: TemplateVersion, notes: str) -> TemplateVersion:
    """Write the notes; their first line is what users are told of an update. Raises Missing, Denied or Invalid."""
    require(actor, "template.manage", version.template)
    version.notes = names.description(notes, field="notes")
    TemplateVersion.objects.filter(pk=version.pk).update(notes=version.notes)
    record(
        "template.version-edited", actor=actor, subject=version.template,
        message=N_("The notes on %(version)s were changed"), version=version,
    )  # fmt: skip
    publish("template", version.template_id, "changed")
    return version
