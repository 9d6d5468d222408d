"""The baseline of allocation.py: Django with its session, one SELECT and one UPDATE, and nothing else."""

import os

os.environ["DJANGO_SETTINGS_MODULE"] = "tests.bench.bare_settings"

from django.core.asgi import get_asgi_application

application = get_asgi_application()

from django.http import HttpRequest, JsonResponse  # noqa: E402 - apps must be loaded first
from django.urls import path  # noqa: E402
from django.views.decorators.csrf import csrf_exempt  # noqa: E402

from broker.directories.models import User  # noqa: E402


@csrf_exempt
def bare(request: HttpRequest) -> JsonResponse:
    user = User.objects.get(pk=request.session["_auth_user_id"])
    User.objects.filter(pk=user.pk).update(display_name=user.username)
    response = JsonResponse({"user": str(user.pk)})
    response["Content-Length"] = str(len(response.content))
    return response


urlpatterns = [path("bare", bare)]
