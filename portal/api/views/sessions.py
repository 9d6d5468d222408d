"""Console sessions: who is at which screen."""

from typing import Any

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from broker.connections.actions.end_session import end_session
from broker.connections.models import Session
from broker.connections.queries import visible_sessions
from broker.connections.states import SessionState
from portal.api.base import Listed, Read, Resource, verb
from portal.api.queries import choices
from portal.api.serializers.connections import SessionSerializer


class SessionFilter(filters.FilterSet):
    state = choices(SessionState)
    user = filters.UUIDFilter(field_name="user_id")
    vm = filters.UUIDFilter(field_name="vm_id")


class Sessions(Listed, Read, Resource):
    """One's own consoles, and those at machines one may edit."""

    serializer_class = SessionSerializer
    filterset_class = SessionFilter
    ordering = ("-opened_at",)
    ordering_fields = ("opened_at", "closed_at", "state")

    def rows(self) -> QuerySet[Session]:
        return Session.objects.select_related("user", "vm")

    def visible(self, rows: QuerySet[Session]) -> QuerySet[Session]:
        return visible_sessions(self.actor)

    @extend_schema(responses=SessionSerializer)
    def retrieve(self, request: Request, pk: Any) -> Response:
        """One session."""
        return super().retrieve(request, pk)

    @verb("end", gives=SessionSerializer)
    def end(self, request: Request, pk: Any) -> Response:
        """Close the console; it ends within seconds."""
        self.nothing()
        session = self.find()
        end_session(actor=self.actor, session=session)
        return self.shown(session)
