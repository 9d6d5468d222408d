"""Errors as problem documents (RFC 9457): what happened, why, and what would help."""

from typing import Any

from rest_framework.response import Response
from rest_framework.views import exception_handler

from broker.core.errors import BerthError
from portal.middleware import sentence


def handler(error: Exception, context: dict[str, Any]) -> Response | None:
    if isinstance(error, BerthError):
        body = {
            "type": f"urn:berth:problem:{error.code}",
            "title": sentence(error.template, error.params),
            "status": error.status,
            "fix": sentence(error.fix_template, error.params),
        }
        return Response(body, status=error.status, content_type="application/problem+json")
    return exception_handler(error, context)
