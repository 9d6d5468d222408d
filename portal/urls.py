"""Every path, in one place."""

from django.urls import include, path

from portal import branding, health, languages, metrics
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
    path("i18n/setlang/", languages.choose, name="set_language"),
    path("", include("portal.web.urls")),
]
