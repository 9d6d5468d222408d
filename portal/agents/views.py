"""Reports and enrolments of agents, and what a host fetches to become one."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.csrf import csrf_exempt

from broker.core.errors import BerthError, Invalid
from broker.core.text import gettext_noop as N_
from broker.virt import reports
from broker.virt.agent import wire
from broker.virt.pki import enrolment

from . import package


@method_decorator(csrf_exempt, name="dispatch")
class Told(View):
    """POST: JSON with its code in the header; the answer is one as well. `take` proves and does it."""

    http_method_names = ["post"]
    take: Callable[[bytes, str], tuple[bytes, str]]

    def post(self, request: HttpRequest) -> HttpResponse:
        try:
            answer, code = type(self).take(_body(request), request.headers.get(wire.HEADER, ""))
        except BerthError as error:
            return JsonResponse({"message": error.message, "fix": error.fix}, status=error.status)
        return HttpResponse(answer, content_type="application/json", headers={wire.HEADER: code})


class Report(Told):
    take = staticmethod(reports.take)


class Enrol(Told):
    take = staticmethod(enrolment.enrol)


def agent(request: HttpRequest) -> HttpResponse:
    """GET: the agent, the same for everybody."""
    return HttpResponse(package.agent(), content_type="application/zip")


def script(request: HttpRequest) -> HttpResponse:
    """GET: the script that installs it; it holds no secret."""
    return HttpResponse(package.script(manager_of(request)), content_type="text/x-shellscript; charset=utf-8")


def manager_of(request: HttpRequest) -> str:
    """The address of this site as hosts are to use it."""
    return request.build_absolute_uri("/").rstrip("/")


def _body(request: HttpRequest) -> bytes:
    """Read no more than a report may have."""
    length = request.headers.get("Content-Length", "")
    if not length.isdigit() or int(length) > wire.MOST:
        raise Invalid(N_("This is too long."), field="body", fix=N_("Install the agent of this version of Berth."))
    return request.body
