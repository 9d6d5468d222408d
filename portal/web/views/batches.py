"""One action for several machines: asking for it, and the page with a result for each."""

from typing import Any
from uuid import UUID

from django.http import HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from broker.access.require import may
from broker.connections.finding import found
from broker.jobs.models import Job
from broker.virt.actions.act_on_machines import act_on_machines
from broker.virt.batches import visible_batches
from portal.web.base import Deed, Page, is_htmx
from portal.web.machines import progress_on
from portal.web.verbs import MORE, POWER
from portal.web.words import UNKNOWN, Mark
from portal.why import Sight

from .records import cancel_action

RESULTS = {
    "waiting": Mark(gettext_lazy("Not asked yet"), "idle"),
    "asked": Mark(gettext_lazy("At work"), "busy"),
    "done": Mark(gettext_lazy("Done"), "good"),
    "refused": Mark(gettext_lazy("Refused"), "warn"),
    "failed": Mark(gettext_lazy("Failed"), "bad"),
}


class NewBatch(Deed):
    """POST verb, vm (several); leads to the page of results."""

    def do(self) -> HttpResponse:
        sent = self.request.POST
        job = act_on_machines(actor=self.actor, verb=sent.get("verb", ""), machines=_ids(sent.getlist("vm")))
        url = reverse("portal:batch", args=[job.subject_id])
        if is_htmx(self.request):
            return HttpResponse(status=204, headers={"HX-Redirect": url})
        return HttpResponseRedirect(url)


class BatchOne(Page):
    template = "portal/manage/batch.html"

    def content(self, pk: Any) -> dict[str, Any]:
        batch = found(visible_batches(self.actor), pk)
        job = Job.objects.filter(subject_kind="batch", subject_id=batch.pk).first()
        sight = Sight(self.actor, [one.get("error") for one in batch.results.values()])
        cancels = job is not None and (job.actor_id == self.actor.user_id or may(self.actor, "job.cancel", job))
        word = POWER[batch.verb].label if batch.verb in POWER else MORE[batch.verb][0]
        return {
            "batch": batch,
            "title": _("%(verb)s: %(count)d machines") % {"verb": word, "count": len(batch.results)},
            "cancel": cancel_action(job) if job and cancels else None,
            "progress": progress_on(job) if job and job.active else None,
            "rows": [self._row(key, one, sight) for key, one in batch.results.items()],
        }

    @staticmethod
    def _row(key: str, one: dict[str, Any], sight: Sight) -> dict[str, Any]:
        cause, fix = sight.sentences(one.get("error"))
        return {
            "id": key, "url": reverse("portal:vm", args=[key]), "name": one["name"],
            "mark": RESULTS.get(one["state"], UNKNOWN), "cause": cause, "fix": fix,
        }  # fmt: skip


def _ids(values: list[str]) -> list[UUID]:
    """The ids among what was sent; what is none is left out."""
    ids = []
    for value in values:
        try:
            ids.append(UUID(value))
        except ValueError:
            continue
    return ids
