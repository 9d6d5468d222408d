"""Going over to another template version: calls of the pools' and the desktops' resources."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from broker.access.require import find, may
from broker.core.errors import Missing
from broker.core.text import gettext_noop as N_
from pools.actions.pace_rollout import pace_rollout
from pools.actions.resume_rollout import resume_rollout
from pools.actions.roll_back import roll_back
from pools.actions.stop_rollout import stop_rollout
from pools.actions.update_desktop import update_desktop
from pools.models import Pool
from pools.models.rollout import MOST_AT_ONCE
from pools.updates import progress
from portal.api.base import Resource, verb
from portal.api.fields import Input, Switch, WholeNumber
from portal.api.serializers.pools import DesktopSerializer, PoolSerializer
from portal.api.serializers.rollouts import RolloutSerializer


class Pace(Input):
    at_once = WholeNumber(min_value=1, max_value=MOST_AT_ONCE, help_text="How many desktops may be rebuilt at a time.")


class Consent(Input):
    discard = Switch(required=False, help_text="What the pool keeps on the desktop for its user may go.")


class Rolling(Resource):
    """The calls about the rollout of a pool; mixed into the pools."""

    @extend_schema(responses=RolloutSerializer)
    @action(detail=True, methods=["get"], url_path="rollout", url_name="rollout")
    def rollout(self, request: Request, pk: Any) -> Response:
        """How far the pool's going over to another version is; 404 while it is not under way."""
        return self._shown(find(self.actor, Pool, pk, "pool.view" if may(self.actor, "system.view") else "pool.manage"))

    @verb("stop-rollout", gives=RolloutSerializer)
    def stop_rollout(self, request: Request, pk: Any) -> Response:
        """Rebuild no further desktop for now."""
        self.nothing()
        pool = self.find()
        stop_rollout(actor=self.actor, pool=pool)
        return self._shown(pool)

    @verb("resume-rollout", gives=RolloutSerializer)
    def resume_rollout(self, request: Request, pk: Any) -> Response:
        """Go on rebuilding."""
        self.nothing()
        pool = self.find()
        resume_rollout(actor=self.actor, pool=pool)
        return self._shown(pool)

    @verb("pace-rollout", takes=Pace, gives=RolloutSerializer)
    def pace_rollout(self, request: Request, pk: Any) -> Response:
        """Say how many desktops may be rebuilt at a time."""
        pool = self.find()
        pace_rollout(actor=self.actor, pool=pool, **self.input(Pace))
        return self._shown(pool)

    @verb("roll-back", gives=PoolSerializer)
    def roll_back(self, request: Request, pk: Any) -> Response:
        """Pin the version the pool was on before; desktops that went over go back."""
        self.nothing()
        return self.shown(roll_back(actor=self.actor, pool=self.find()))

    def _shown(self, pool: Pool) -> Response:
        found = progress(pool)
        if found is None:
            raise Missing(N_("The pool is not going over to another version."), fix=N_("Nothing needs to be done."))
        return Response(RolloutSerializer(found).data)


class Updating(Resource):
    """The call about one desktop; mixed into the desktops."""

    @verb("update", takes=Consent, gives=DesktopSerializer)
    def update_now(self, request: Request, pk: Any) -> Response:
        """Bring it to the version its pool goes over to. Unsaved work is lost; its user keeps it."""
        given = self.input(Consent)
        return self.shown(update_desktop(actor=self.actor, desktop=self.find(), **given))
