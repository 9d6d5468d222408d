"""Searching for machines: saved searches; and acting on several machines at once."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from broker.virt.actions.act_on_machines import act_on_machines
from broker.virt.actions.create_saved_search import create_saved_search
from broker.virt.actions.delete_saved_search import delete_saved_search
from broker.virt.actions.edit_saved_search import edit_saved_search
from broker.virt.batches import MOST, VERBS, visible_batches
from broker.virt.models import Batch, SavedSearch
from broker.virt.saved import COLUMNS, saved_searches
from broker.virt.search.language import LONGEST
from portal.api.base import Listed, Read, Resource
from portal.api.fields import Id, Input, Switch, TextField
from portal.api.serializers.jobs import JobSerializer
from portal.api.serializers.searches import BatchDetailSerializer, BatchSerializer, SavedSearchSerializer


class NewSearch(Input):
    name = TextField(max_length=64)
    text = TextField(max_length=LONGEST, required=False, allow_blank=True, help_text="In the search language.")
    columns = serializers.ListField(
        child=serializers.ChoiceField(choices=list(COLUMNS)), required=False, max_length=len(COLUMNS)
    )
    shared = Switch(required=False, help_text="Everybody sees it; takes the right to change machines.")


class ChangedSearch(NewSearch):
    name = TextField(max_length=64, required=False)


class SavedSearches(Listed, Read, Resource):
    """Lists of machines as somebody wants to find them again: one's own, and shared ones."""

    serializer_class = SavedSearchSerializer

    def rows(self) -> QuerySet[SavedSearch]:
        return SavedSearch.objects.select_related("owner")

    def visible(self, rows: QuerySet[SavedSearch]) -> QuerySet[SavedSearch]:
        return saved_searches(self.actor)

    @extend_schema(request=NewSearch, responses={201: SavedSearchSerializer})
    def create(self, request: Request) -> Response:
        """Save a search."""
        return self.shown(create_saved_search(actor=self.actor, **self.input(NewSearch)), status=201)

    @extend_schema(request=ChangedSearch, responses=SavedSearchSerializer)
    def partial_update(self, request: Request, pk: Any) -> Response:
        """Change one's own."""
        search = edit_saved_search(actor=self.actor, search=self.find(), **self.input(ChangedSearch))
        return self.shown(search)

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, pk: Any) -> Response:
        """Remove one's own."""
        self.nothing()
        delete_saved_search(actor=self.actor, search=self.find())
        return Response(status=204)


class NewBatch(Input):
    verb = serializers.ChoiceField(choices=list(VERBS))
    machines = serializers.ListField(child=Id(), min_length=1, max_length=MOST)


class Batches(Listed, Read, Resource):
    """One action for several machines: one job, and a result for each machine."""

    serializer_class = BatchSerializer
    detail_serializer_class = BatchDetailSerializer
    ordering = ("-created_at",)
    ordering_fields = ("created_at",)

    def rows(self) -> QuerySet[Batch]:
        return Batch.objects.select_related("owner")

    def visible(self, rows: QuerySet[Batch]) -> QuerySet[Batch]:
        return visible_batches(self.actor)

    @extend_schema(responses=BatchDetailSerializer)
    def retrieve(self, request: Request, pk: Any) -> Response:
        """With the result of each machine."""
        return super().retrieve(request, pk)

    @extend_schema(request=NewBatch, responses={202: JobSerializer})
    def create(self, request: Request) -> Response:
        """Ask it of each machine; the job's subject is the batch."""
        return self.accepted(act_on_machines(actor=self.actor, **self.input(NewBatch)))
