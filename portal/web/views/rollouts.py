"""A pool's going over to another template version, and one desktop's."""

from typing import Any

from django.http import HttpResponse
from django.utils.translation import gettext as _

from broker.access.require import find
from broker.core.errors import Invalid, Missing
from broker.core.text import gettext_noop as N_
from pools.actions.pace_rollout import pace_rollout
from pools.actions.resume_rollout import resume_rollout
from pools.actions.roll_back import roll_back
from pools.actions.stop_rollout import stop_rollout
from pools.actions.update_desktop import update_desktop
from pools.models import Pool
from pools.queries import find_desktop
from portal.web.base import Deed, done


class RolloutDeed(Deed):
    """Stop, go on, go back, or change the pace."""

    def do(self, pk: Any, verb: str) -> HttpResponse:
        pool = find(self.actor, Pool, pk)
        if verb == "stop":
            stop_rollout(actor=self.actor, pool=pool)
            return done(self.request, _("No further desktop is rebuilt."))
        if verb == "resume":
            resume_rollout(actor=self.actor, pool=pool)
            return done(self.request, _("Desktops are rebuilt again."))
        if verb == "back":
            roll_back(actor=self.actor, pool=pool)
            return done(self.request, _("The desktops go back to the version before."))
        if verb == "pace":
            count = self._number()
            pace_rollout(actor=self.actor, pool=pool, at_once=count)
            return done(self.request, _("%(count)d desktops may be rebuilt at a time.") % {"count": count})
        raise Missing(N_("There is no such action."), fix=N_("Go back and choose another."))

    def _number(self) -> int:
        given = self.request.POST.get("at_once", "")
        if not (given.isascii() and given.isdigit() and len(given) < 10):
            raise Invalid(N_("This is not a number."), field="at_once", fix=N_("Give a whole number."))
        return int(given)


class UpdateDesktop(Deed):
    """“Restart now”: its user's consent, or its administrator's."""

    def do(self, pk: Any) -> HttpResponse:
        desktop = find_desktop(self.actor, pk)
        update_desktop(actor=self.actor, desktop=desktop, discard=self.request.POST.get("discard") == "yes")
        return done(self.request, _("The desktop is being made anew; it starts by itself."))
