"""Every path, in one place."""

from django.urls import include, path

from portal import health

urlpatterns = [
    path("healthz", health.alive),
    path("readyz", health.ready),
    path("api/v1/", include("portal.api.urls")),
    path("", include("portal.web.urls")),
]
