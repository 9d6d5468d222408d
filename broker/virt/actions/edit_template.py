"""Change how a template is described."""

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.virt import names
from broker.virt.models import VmTemplate


@transaction.atomic
def edit_template(
    *, actor: Actor, template: VmTemplate, description: str | None = None, os_name: str | None = None
) -> VmTemplate:
    """Write what is given (None: leave). Raises Missing, Denied or Invalid."""
    require(actor, "template.manage", template)
    changed = {}
    if description is not None:
        changed["description"] = names.description(description)
    if os_name is not None:
        changed["os_name"] = names.title(os_name, field="os_name", longest=64)
    if not changed:
        return template
    VmTemplate.objects.filter(pk=template.pk).update(**changed)
    for field, value in changed.items():
        setattr(template, field, value)
    record(
        "template.edited",
        actor=actor,
        subject=template,
        message=N_("Template %(name)s was changed"),
        name=template.name,
    )
    publish("template", template.pk, "changed")
    return template
