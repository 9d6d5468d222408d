"""The addresses of hosts' upkeep."""

from django.urls import path

from .views import maintenance

urlpatterns = [
    path("manage/hosts/<uuid:pk>/maintenance/", maintenance.Maintenance.as_view(), name="host-maintenance"),
]
