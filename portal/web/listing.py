"""Lists for people: search, filters, sorting and paging, with a number of queries that does not grow with rows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from django.core.paginator import Page, Paginator
from django.db.models import Q, QuerySet
from django.http import HttpRequest

from broker.core.errors import BerthError

from .parts import error_sentences
from .words import Text

ROWS = 50
LONGEST_SEARCH = 200


@dataclass(frozen=True, slots=True)
class Column:
    """A table's head cell. `field` makes it sortable; `sorted` and `next` are set for the present request."""

    label: Text
    field: str = ""
    sorted: str = ""
    next: str = ""


@dataclass(frozen=True, slots=True)
class Filter:
    """A choice above a list. `field` is what the queryset is filtered by; `options` are (value, label)."""

    name: str
    label: Text
    field: str
    options: Sequence[tuple[str, Text]]
    value: str = ""


def search_text(request: HttpRequest, longest: int = LONGEST_SEARCH) -> str:
    """What was typed into the search field, without what a database cannot take."""
    return request.GET.get("q", "").replace("\0", "").strip()[:longest]


@dataclass(frozen=True, slots=True)
class Language:
    """A search that is more than words: `find` makes a condition and an order of the text, or raises a BerthError.

    `completes` is the address that tells what can be typed next.
    """

    find: Callable[[str], tuple[Q, Sequence[Any]]]
    longest: int
    completes: str


class Listing:
    """One page of a queryset as the request asks for it. Unknown filters, columns and pages fall back silently."""

    def __init__(
        self,
        request: HttpRequest,
        rows: QuerySet[Any],
        *,
        columns: Sequence[Column],
        search: Sequence[str] = (),
        filters: Sequence[Filter] = (),
        order: str,
        per_page: int = ROWS,
        language: Language | None = None,
    ):
        self.longest = language.longest if language else LONGEST_SEARCH
        self.completes = language.completes if language else ""
        self.search = search_text(request, self.longest)
        self.error: tuple[str, str] | None = None
        found_order: Sequence[Any] = ()
        self.filters = [self._chosen(request, one) for one in filters]
        for one in self.filters:
            if one.value:
                rows = rows.filter(**{one.field: one.value})
        if self.search and search:
            wanted = Q()
            for field in search:
                wanted |= Q(**{f"{field}__icontains": self.search})
            rows = rows.filter(wanted)
        elif self.search and language:
            try:
                condition, found_order = language.find(self.search)
                rows = rows.filter(condition)
            except BerthError as error:
                self.error = error_sentences(error)
                rows = rows.none()
        asked = request.GET.get("order", "")
        self.order = asked if asked.removeprefix("-") in {one.field for one in columns if one.field} else ""
        key = self.order or order
        # The primary key last: pages must not overlap when many rows have the same value.
        if found_order and not self.order:
            rows, key = rows.order_by(*found_order), ""
        else:
            rows = rows.order_by(key, "-pk" if key.startswith("-") else "pk")
        self.columns = [self._sorted(one, key) for one in columns]
        self.page: Page[Any] = Paginator(rows, per_page).get_page(request.GET.get("page"))

    @property
    def total(self) -> int:
        return self.page.paginator.count

    @staticmethod
    def _chosen(request: HttpRequest, one: Filter) -> Filter:
        asked = request.GET.get(one.name, "")
        value = asked if asked in {option for option, _label in one.options} else ""
        return Filter(one.name, one.label, one.field, one.options, value)

    @staticmethod
    def _sorted(column: Column, key: str) -> Column:
        now = {column.field: "ascending", f"-{column.field}": "descending"}.get(key, "") if column.field else ""
        following = f"-{column.field}" if now == "ascending" else column.field
        return Column(column.label, column.field, now, following)
