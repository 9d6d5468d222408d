"""The addresses of hosts' upkeep."""

from django.urls import path

from .views import enrol, maintenance

urlpatterns = [
    path("manage/hosts/enrol", enrol.Invite.as_view(), name="host-invite"),
    path("manage/hosts/<uuid:pk>/maintenance/", maintenance.Maintenance.as_view(), name="host-maintenance"),
]
