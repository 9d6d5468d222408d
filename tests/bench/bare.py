"""The baselines of allocation.py and storm.py: Django with its session and the statements named, and nothing else."""

import os

os.environ["DJANGO_SETTINGS_MODULE"] = "tests.bench.bare_settings"

from django.core.asgi import get_asgi_application

application = get_asgi_application()

import ldap  # noqa: E402 - apps must be loaded first
from django.http import HttpRequest, JsonResponse  # noqa: E402
from django.urls import path  # noqa: E402
from django.views.decorators.csrf import csrf_exempt  # noqa: E402

from broker.directories.models import User  # noqa: E402


@csrf_exempt
def bare(request: HttpRequest) -> JsonResponse:
    """One SELECT, one UPDATE."""
    user = User.objects.get(pk=request.session["_auth_user_id"])
    User.objects.filter(pk=user.pk).update(display_name=user.username)
    return _answer({"user": str(user.pk)})


@csrf_exempt
def sign_in(request: HttpRequest) -> JsonResponse:
    """A bind at the directory, and a new session."""
    line = ldap.initialize(os.environ["BENCH_LDAP"])
    line.set_option(ldap.OPT_X_TLS_CACERTFILE, os.environ["BENCH_LDAP_CA"])
    line.set_option(ldap.OPT_X_TLS_NEWCTX, 0)
    line.simple_bind_s(f"uid={request.POST['username']},ou=people,dc=example,dc=org", request.POST["password"])
    line.unbind_s()
    request.session["user"] = request.POST["username"]
    return _answer({})


def _answer(values: dict[str, str]) -> JsonResponse:
    response = JsonResponse(values)
    response["Content-Length"] = str(len(response.content))
    return response


urlpatterns = [path("bare", bare), path("bare-sign-in", sign_in)]
