"""The admin beside the pages it leads to."""

from django.urls import include, path

from portal import languages
from portal.admin import site

urlpatterns = [
    path("admin/", site.urls),
    path("i18n/setlang/", languages.choose, name="set_language"),
    path("", include("portal.web.urls")),
]
