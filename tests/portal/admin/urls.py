"""The admin beside the pages it leads to."""

from django.urls import include, path

from portal.admin import site

urlpatterns = [path("admin/", site.urls), path("", include("portal.web.urls"))]
