"""Reports of agents."""

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.csrf import csrf_exempt

from broker.core.errors import BerthError, Invalid
from broker.core.text import gettext_noop as N_
from broker.virt import reports
from broker.virt.agent import wire


@method_decorator(csrf_exempt, name="dispatch")
class Report(View):
    """POST: a report in JSON with its code in the header; the answer is one as well."""

    http_method_names = ["post"]

    def post(self, request: HttpRequest) -> HttpResponse:
        try:
            answer, code = reports.take(_body(request), request.headers.get(wire.HEADER, ""))
        except BerthError as error:
            return JsonResponse({"message": error.message, "fix": error.fix}, status=error.status)
        return HttpResponse(answer, content_type="application/json", headers={wire.HEADER: code})


def _body(request: HttpRequest) -> bytes:
    """Read no more than a report may have."""
    length = request.headers.get("Content-Length", "")
    if not length.isdigit() or int(length) > wire.MOST:
        raise Invalid(N_("This is too long."), field="body", fix=N_("Install the agent of this version of Berth."))
    return request.body
