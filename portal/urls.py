"""Every path, in one place."""

from django.urls import include, path

from portal import branding, health, metrics
from portal.admin import site

handler500 = "portal.web.views.doors.server_error"

urlpatterns = [
    path("healthz", health.alive),
    path("readyz", health.ready),
    path("metrics", metrics.metrics),
    path("favicon.ico", health.favicon),
    path("site-logo", branding.site_logo, name="site-logo"),
    path("agent/", include("portal.agents.urls")),
    path("api/v1/", include("portal.api.urls")),
    path("admin/", site.urls),
    path("i18n/", include("django.conf.urls.i18n")),
    path("", include("portal.web.urls")),
]
