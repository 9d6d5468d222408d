"""Paging of lists: ?page=2&page_size=100, never more than 500 a page."""

from django.utils.translation import gettext as _
from rest_framework.exceptions import ValidationError
from rest_framework.pagination import PageNumberPagination
from rest_framework.request import Request


class Pages(PageNumberPagination):
    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = 500

    def get_page_size(self, request: Request) -> int:
        given = request.query_params.get("page_size")
        if given is None:
            return int(self.page_size)
        if not (given.isascii() and given.isdecimal() and 1 <= int(given[:6]) <= self.max_page_size):
            raise ValidationError(
                {"page_size": [_("Give a number from 1 to %(most)s.") % {"most": self.max_page_size}]}
            )
        return int(given[:6])
