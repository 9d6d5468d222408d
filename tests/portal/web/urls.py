"""The addresses as in the product, with the administration whether or not this process offers it."""

from django.urls import path

from portal.admin.site import site
from portal.urls import urlpatterns as product

urlpatterns = [*product, path("admin/", site.urls)]
