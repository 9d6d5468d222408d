"""How fast one account may make things: a script that went wild is told to wait before it fills a database."""

from typing import Any

from django.conf import settings
from rest_framework.request import Request
from rest_framework.throttling import UserRateThrottle


class Pace(UserRateThrottle):
    """Counts what is made (POST on a collection), for each account, in this web process."""

    scope = "made"

    def get_rate(self) -> str:
        return f"{settings.API_MADE_A_MINUTE}/min"

    def allow_request(self, request: Request, view: Any) -> bool:
        return getattr(view, "action", None) != "create" or bool(super().allow_request(request, view))
