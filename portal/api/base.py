"""What every API resource has: an actor, only JSON, bounded bodies, idempotency, refusals on record, visible rows."""

from collections.abc import Sequence
from typing import Any

from django.contrib.auth.models import AnonymousUser
from django.db import models
from django.http import Http404, HttpRequest
from django.urls import reverse
from drf_spectacular.utils import extend_schema
from rest_framework.authentication import SessionAuthentication
from rest_framework.decorators import action
from rest_framework.parsers import JSONParser
from rest_framework.permissions import BasePermission, IsAuthenticated
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer
from rest_framework.views import APIView
from rest_framework.viewsets import GenericViewSet

from broker.access.actor import Actor
from broker.access.require import missing, visible_to
from broker.core.errors import BerthError
from broker.core.text import gettext_noop as N_
from portal.refusals import READING, note_refusal

from .auth import BearerToken, actor_of
from .fields import Empty, Input
from .idempotency import key_of, once
from .pace import Pace
from .paging import Pages
from .problems import TooLarge, handler
from .queries import PAGING, Ordering, refuse_unknown

LARGEST_BODY = 64 * 1024


class Door(APIView):
    """Base of all API views."""

    authentication_classes = (BearerToken, SessionAuthentication)
    permission_classes: tuple[type[BasePermission], ...] = (IsAuthenticated,)
    parser_classes = (JSONParser,)
    renderer_classes: Sequence[type[BaseRenderer]] = (JSONRenderer,)
    throttle_classes = (Pace,)
    metadata_class = None
    secret_answers: frozenset[str] = frozenset()
    query_parameters: frozenset[str] = frozenset()
    actor: Actor

    def get_exception_handler(self) -> Any:
        return handler

    def initialize_request(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Request:
        # The framework forgets whose session it is when it refuses the call (a missing CSRF token, say).
        self._session_user = getattr(request, "user", None) or AnonymousUser()
        return super().initialize_request(request, *args, **kwargs)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        self.actor = actor_of(request)
        request._request.actor = self.actor  # type: ignore[attr-defined]
        if request.method in READING:
            refuse_unknown(request, self.known_parameters())
            return
        refuse_unknown(request, frozenset())
        if len(request._request.body) > LARGEST_BODY:
            raise TooLarge(
                N_("The body has more than %(most)s bytes."), fix=N_("Send fewer or shorter fields."), most=LARGEST_BODY
            )
        name = (request.method or "").lower()
        # Not around dispatch(): the call must be authenticated first, and errors become answers only later.
        if (key := key_of(request)) and self.actor.user_id and (answer := getattr(self, name, None)):
            secret = getattr(self, "action", None) in self.secret_answers
            setattr(self, name, once(answer, key=key, actor=self.actor, request=request, secret=secret))

    def known_parameters(self) -> frozenset[str]:
        """Query parameters that mean something to this view."""
        return self.query_parameters

    def handle_exception(self, exc: Exception) -> Response:
        response = super().handle_exception(exc)
        if isinstance(response.data, dict):
            request: Request = self.request
            who = getattr(self, "actor", None) or self._by_session(request._request)
            # Written down in one language, whatever the caller reads.
            cause = exc.message if isinstance(exc, BerthError) else response.data.get("detail", "")
            note_refusal(
                request._request, who, kind="api.refused", status=response.status_code,
                code=response.data.get("code", ""), cause=cause,
                explanation=exc.as_dict() if isinstance(exc, BerthError) else None,
            )  # fmt: skip
        return response

    def _by_session(self, request: HttpRequest) -> Actor:
        request.user = self._session_user
        return Actor.of(request)


class Resource(Door, GenericViewSet):
    """A list of rows the actor may see, and the verbs on each.

    `rows()` gives all rows with what the answer needs; `verb` is the right that makes one visible. For rows
    that rights are not about, override `visible()`.
    """

    pagination_class = Pages
    lookup_value_converter = "uuid"
    verb = "view"
    ordering: tuple[str, ...] = ("name",)
    ordering_fields: tuple[str, ...] = ("name",)
    detail_serializer_class: type[Serializer] | None = None

    @property
    def filter_backends(self) -> list[Any]:  # type: ignore[override]
        from django_filters.rest_framework import DjangoFilterBackend

        return [DjangoFilterBackend, Ordering]

    def rows(self) -> models.QuerySet[Any]:
        """All rows, whoever asks; each resource has its own."""
        raise NotImplementedError

    def visible(self, rows: models.QuerySet[Any]) -> models.QuerySet[Any]:
        return visible_to(self.actor, rows, self.verb)

    def get_queryset(self) -> models.QuerySet[Any]:
        if getattr(self, "swagger_fake_view", False):
            return self.rows().none()
        return self.visible(self.rows())

    def known_parameters(self) -> frozenset[str]:
        if self.action != "list":
            return self.query_parameters
        filterset: Any = getattr(self, "filterset_class", None)
        return PAGING | {"ordering"} | frozenset(filterset.base_filters if filterset else ())

    def find(self, **by: Any) -> Any:
        """The row named in the address, if the actor may see it; else Missing."""
        try:
            return self.get_queryset().get(**(by or {"pk": self.kwargs["pk"]}))
        except self.get_queryset().model.DoesNotExist:
            raise missing(self.actor) from None

    def input(self, serializer: type[Input], *, partial: bool = False) -> dict[str, Any]:
        """The checked body of the call as plain values."""
        body = serializer(data=self.request.data, partial=partial, context=self.get_serializer_context())
        body.is_valid(raise_exception=True)
        return dict(body.validated_data)

    def nothing(self) -> None:
        """For calls without a body: refuse fields that would be ignored."""
        if self.request.data not in ({}, None, ""):
            self.input(Empty)

    def shown(self, row: Any, *, status: int = 200, **headers: str) -> Response:
        """One row as an answer, read afresh with what the serializer needs."""
        serializer = self.detail_serializer_class or self.serializer_class
        assert serializer is not None
        fresh = self.rows().get(pk=row.pk)
        return Response(serializer(fresh, context=self.get_serializer_context()).data, status=status, headers=headers)

    def accepted(self, job: Any) -> Response:
        """202 and the job that does it."""
        from .serializers.jobs import JobSerializer

        data = JobSerializer(job, context=self.get_serializer_context()).data
        return Response(data, status=202, headers={"Location": reverse("api-job-detail", args=(job.pk,))})


class Listed:
    """GET on the collection."""

    def list(self: Any, request: Request) -> Response:
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        answer: Response = self.get_paginated_response(self.get_serializer(page, many=True).data)
        return answer


class Read:
    """GET on one row."""

    def retrieve(self: Any, request: Request, pk: Any) -> Response:
        serializer = self.detail_serializer_class or self.serializer_class
        return Response(serializer(self.find(), context=self.get_serializer_context()).data)


def verb(name: str, *, takes: type[Input] | None = None, gives: Any = None, status: int = 200, **schema: Any) -> Any:
    """Decorator: POST …/{id}/<name>/. `takes` is its body; `gives` its answer, by default the resource itself."""

    def decorate(function: Any) -> Any:
        described = extend_schema(request=takes, responses={status: gives}, **schema)(function)
        return action(detail=True, methods=["post"], url_path=name, url_name=name)(described)

    return decorate


def job_verb(name: str, *, takes: type[Input] | None = None, **schema: Any) -> Any:
    """Decorator: POST …/{id}/<name>/ that is accepted as a job: 202 with the job and its Location."""
    from .serializers.jobs import JobSerializer

    return verb(name, takes=takes, gives=JobSerializer, status=202, **schema)


class NotFound(Door):
    """Every address under the API that is none."""

    permission_classes = ()

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        raise Http404
