"""What may stand in a query string: known filters, a known order, a page. Anything else is refused by name."""

from typing import Any

from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _
from django_filters import rest_framework as filters
from rest_framework.exceptions import ValidationError
from rest_framework.filters import BaseFilterBackend
from rest_framework.request import Request

PAGING = frozenset({"page", "page_size"})
LONGEST = 100


class Ordering(BaseFilterBackend):
    """?ordering=name,-created_at over the view's `ordering_fields`; the key comes last: pages do not overlap."""

    def filter_queryset(self, request: Request, queryset: QuerySet[Any], view: Any) -> QuerySet[Any]:
        given = request.query_params.get("ordering")
        if given is None:
            return queryset.order_by(*view.ordering, "pk")
        names = given.split(",")
        for name in names:
            if name.removeprefix("-") not in view.ordering_fields:
                known = ", ".join(view.ordering_fields)
                raise ValidationError({"ordering": [_("Order by one of: %(known)s.") % {"known": known}]})
        return queryset.order_by(*names, "pk")

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        values = [sign + name for name in view.ordering_fields for sign in ("", "-")]
        schema = {"type": "array", "items": {"type": "string", "enum": values}, "minItems": 1}
        return [
            {
                "name": "ordering",
                "required": False,
                "in": "query",
                "schema": schema,
                "explode": False,
                "style": "form",
                "description": _("Columns to order by, comma-separated; “-” turns one round."),
            }
        ]


def refuse_unknown(request: Request, known: frozenset[str]) -> None:
    """Raise ValidationError naming the query parameters that mean nothing here: a mistyped filter shows too much."""
    if unknown := sorted(set(request.query_params) - known):
        raise ValidationError({name[:64]: [_("There is no such parameter here.")] for name in unknown[:10]})


class Search(filters.CharFilter):
    """?search=… in any of some columns."""

    def __init__(self, *columns: str, **kwargs: Any):
        super().__init__(max_length=LONGEST, **kwargs)
        self.columns = columns

    def filter(self, qs: QuerySet[Any], value: str) -> QuerySet[Any]:
        if not value:
            return qs
        condition = Q()
        for column in self.columns:
            condition |= Q(**{f"{column}__icontains": value})
        return qs.filter(condition)


def choices(values: Any) -> filters.ChoiceFilter:
    """?state=… with one of `values`."""
    return filters.ChoiceFilter(choices=[(str(value), str(value)) for value in values])
