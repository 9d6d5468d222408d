"""Make a template; its first version is imported next."""

from django.db import transaction

from broker.access.actor import Actor
from broker.access.making import give_to_maker
from broker.access.require import require
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.virt import names, rows
from broker.virt.models import Cluster, VmTemplate


@transaction.atomic
def create_template(
    *, actor: Actor, cluster: Cluster, name: str, description: str = "", os_name: str = ""
) -> VmTemplate:
    """Returns the template; who makes it owns it. Raises Missing, Denied, Invalid or Conflict (the name is taken)."""
    require(actor, "template.create", cluster)
    template = VmTemplate(
        cluster=cluster,
        name=names.name(name),
        description=names.description(description),
        os_name=names.title(os_name, field="os_name", longest=64),
    )
    rows.insert(template)
    give_to_maker(actor, "template-owner", template)
    record(
        "template.created", actor=actor, subject=template, message=N_("Template %(name)s was made"), name=template.name
    )
    publish("template", template.pk, "created")
    return template
