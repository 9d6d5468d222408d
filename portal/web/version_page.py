"""Template versions on the page of their template: how far one is, how its sealing went, and who follows which."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from broker.access.actor import Actor
from broker.access.require import visible_to
from broker.jobs.models import Job
from broker.jobs.states import ACTIVE
from broker.virt.models import TemplateVersion, VmTemplate
from pools.models import Pool
from portal.sealing import left_unsealed
from portal.templatetags.berth import mib

from . import words
from .option_fields import told
from .parts import Cell, Related, Row
from .words import Mark

MOST_POOLS = 100


def makings(versions: Iterable[UUID]) -> dict[UUID, Job]:
    """The jobs that make these from machines: their subject is the machine. One query, or none."""
    wanted = {str(pk) for pk in versions}
    if not wanted:
        return {}
    jobs = Job.objects.filter(plan="template.make", state__in=ACTIVE)
    return {UUID(job.args["version"]): job for job in jobs if job.args.get("version") in wanted}


def version_state(version: TemplateVersion, making: dict[UUID, Job]) -> Cell:
    """How far it is; when it is ready, also how its sealing went."""
    job, outcome = making.get(version.pk), version.sealing.get("outcome", "")
    if job is not None:
        under = f"{job.text or _(job.title)} · {job.progress} %"
        return Cell(mark=words.VERSION.get(version.state, words.UNKNOWN), under=under)
    if version.state != "ready" or not outcome:
        return Cell(mark=words.VERSION.get(version.state, words.UNKNOWN))
    marks = {
        "sealed": Mark(_("Ready, sealed"), "good"),
        "partly": Mark(_("Ready, partly sealed"), "warn"),
        "unsealed": Mark(_("Ready, not sealed"), "warn"),
    }
    return Cell(mark=marks.get(outcome, words.UNKNOWN), under="; ".join(left_unsealed(version)))


def hardware_of(version: TemplateVersion) -> str:
    """What machines made from it get."""
    return " · ".join([f"{version.vcpus} vCPU", mib(version.memory_mib), *told(version.options)])


def told_of(version: TemplateVersion, machines: int) -> str:
    """The first line of its notes, where it comes from, and how many machines need it."""
    notes = version.notes.partition("\n")[0].strip()
    origin = _("from %(machine)s") % {"machine": version.made_from} if version.made_from else ""
    return " · ".join(part for part in (notes, origin, _used_by(machines)) if part)


def _used_by(machines: int) -> str:
    if not machines:
        return _("unused")
    return ngettext("%(count)d machine", "%(count)d machines", machines) % {"count": machines}


def pools_of(actor: Actor, template: VmTemplate) -> Related:
    """The pools made from it, and what version each is to be of."""
    rows = visible_to(actor, Pool.objects.filter(template=template).select_related("version"))[:MOST_POOLS]

    def version(pool: Any) -> str:
        return _("Version %(number)d, pinned") % {"number": pool.version.number} if pool.version else _("the newest")

    return Related(
        _("Pools"),
        [_("Name"), _("Version")],
        [Row([Cell(str(pool), reverse("portal:pool", args=[pool.pk])), Cell(version(pool))]) for pool in rows],
        _("No pool is made from it."),
    )
