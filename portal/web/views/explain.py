"""Dry runs as pages (why would somebody get no desktop, would a machine start), and the goal for time to desktop."""

from typing import Any

from django.http import HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _

from broker.access.require import find, visible_to
from broker.core.errors import Invalid
from broker.core.text import gettext_noop as N_
from broker.directories.models import User
from broker.virt.explain import explain_start
from broker.virt.models import VirtualMachine
from pools.actions.set_goal import set_goal
from pools.explain import explain_allocation
from pools.models import Pool
from portal.explained import explained
from portal.web.base import Deed, Page, done

LONGEST_NAME = 150


class ExplainAllocation(Page):
    """?user=NAME: what Connect would come to for that user."""

    template = "portal/manage/explain.html"

    def content(self, pk: Any) -> dict[str, Any]:
        pool = find(self.actor, Pool, pk, "pool.manage")
        name = self.request.GET.get("user", "").replace("\0", "").strip()[:LONGEST_NAME]
        user = visible_to(self.actor, User).filter(username__iexact=name).first() if name else None
        answer = explain_allocation(actor=self.actor, pool=pool, user=user) if user else None
        return {
            "title": _("Why would somebody get no desktop?"),
            "under": str(pool),
            "back_url": reverse("portal:pool", args=[pool.pk]),
            "back_label": str(pool),
            "asks": True,
            "name": name,
            "unknown": bool(name) and user is None,
            "answer": explained(self.actor, answer) if answer else None,
        }


class ExplainStart(Page):
    template = "portal/manage/explain.html"

    def content(self, pk: Any) -> dict[str, Any]:
        vm = find(self.actor, VirtualMachine, pk, "vm.edit")
        return {
            "title": _("Would it start?"),
            "under": vm.name,
            "back_url": reverse("portal:vm", args=[vm.pk]),
            "back_label": vm.name,
            "answer": explained(self.actor, explain_start(actor=self.actor, vm=vm)),
        }


class SetGoal(Deed):
    """The line that is aimed at; an empty field takes it away."""

    def do(self, pk: Any) -> HttpResponse:
        pool = find(self.actor, Pool, pk)
        text = self.request.POST.get("seconds", "").strip()
        if text and not text.isdecimal():
            raise Invalid(N_("This is no number of seconds."), field="seconds", fix=N_("Give a whole number."))
        set_goal(actor=self.actor, pool=pool, seconds=int(text[:9]) if text else None)
        return done(self.request, _("The goal was set.") if text else _("There is no goal now."))
