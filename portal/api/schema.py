"""The API's description: OpenAPI with every error, header and limit that really occurs."""

from typing import Any

from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView
from rest_framework.request import Request
from rest_framework.response import Response

from .base import Door
from .idempotency import HEADER, LONGEST
from .problems import CONTENT_TYPE

ALWAYS = {
    "400": "invalid",
    "401": "not signed in",
    "403": "not allowed",
    "404": "no such object, or not visible",
    "406": "only JSON is served",
    "429": "too many calls",
    "500": "a defect",
    "503": "something does not answer",
}
CHANGING = {"409": "not in the present state", "413": "too large", "415": "not JSON", "422": "reused Idempotency-Key"}
SWAGGER_CSP = {"script-src": ["'unsafe-inline'"], "style-src": ["'unsafe-inline'"]}


def complete(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:
    """Post-processing hook: add what is the same for all operations."""
    schemas = result["components"]["schemas"]
    for name, schema in schemas.items():
        if name.endswith("Request") and schema.get("type") == "object":
            schema["additionalProperties"] = False
    result["components"]["responses"] = {"Problem": _problem_response()}
    for path in result["paths"].values():
        for method, operation in path.items():
            _complete_operation(method, operation)
    return result


def _complete_operation(method: str, operation: dict[str, Any]) -> None:
    codes = dict(ALWAYS)
    if method != "get":
        codes |= CHANGING
        operation.setdefault("parameters", []).append(_key_parameter())
    for code in codes:
        operation["responses"][code] = {"$ref": "#/components/responses/Problem"}
    if accepted := operation["responses"].get("202"):
        accepted["description"] = "Accepted; the job does it."
        accepted["headers"] = {"Location": {"schema": {"type": "string"}, "description": "The job."}}


def _problem_response() -> dict[str, Any]:
    return {
        "description": "What happened, why, and what would help.",
        "content": {CONTENT_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }


def _key_parameter() -> dict[str, Any]:
    return {
        "name": HEADER,
        "in": "header",
        "required": False,
        "description": "Yours, new for each call: the call repeated with it has one effect and one answer.",
        "schema": {"type": "string", "minLength": 1, "maxLength": LONGEST, "pattern": "^[!-~]+$"},
    }


def only_ours(endpoints: list[Any]) -> list[Any]:
    """Pre-processing hook: only our own API is described."""
    return [endpoint for endpoint in endpoints if issubclass(endpoint[3].cls, Door)]


class Schema(Door, SpectacularAPIView):
    """The OpenAPI description."""

    query_parameters = frozenset({"format", "lang", "version"})
    renderer_classes = SpectacularAPIView.renderer_classes


class Docs(SpectacularSwaggerView):
    """Swagger UI over it, from our own files."""

    authentication_classes = Door.authentication_classes
    permission_classes = Door.permission_classes

    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        response: Response = super().get(request, *args, **kwargs)
        response._csp_update = SWAGGER_CSP  # type: ignore[attr-defined]
        return response
