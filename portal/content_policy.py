"""The Content-Security-Policy header: made once, where django-csp makes it anew for every answer."""

from csp.constants import HEADER
from csp.middleware import CSPMiddleware
from csp.utils import build_policy
from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase


class ContentPolicyMiddleware(CSPMiddleware):
    """django-csp's, which is asked only where a view has a word of its own or a nonce was taken."""

    _same_for_all: str | None = None

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        own = any(name.startswith("_csp") for holder in (request, response) for name in vars(holder))
        if own or settings.DEBUG:
            return super().process_response(request, response)
        if self._same_for_all is None:
            self._same_for_all = build_policy()
        response.headers.setdefault(HEADER, self._same_for_all)
        return response
