"""The addresses of the upkeep of hosts and storages."""

from django.urls import path

from .views import enrol, hosts, luns, maintenance, storage_emptying

urlpatterns = [
    path("manage/storage/<uuid:pk>/evacuate/", storage_emptying.EmptyStorage.as_view(), name="storage-evacuate"),
    path("manage/storage/iscsi", luns.LookForLuns.as_view(), name="luns"),
    path("manage/storage/iscsi/<uuid:pk>/", luns.FoundLuns.as_view(), name="luns-found"),
    path("manage/storage/iscsi/<uuid:pk>/<int:number>", luns.UseLuns.as_view(), name="luns-use"),
    path("manage/hosts/enrol", enrol.Invite.as_view(), name="host-invite"),
    path("manage/hosts/<uuid:pk>/maintenance/", maintenance.Maintenance.as_view(), name="host-maintenance"),
    path("manage/hosts/<uuid:pk>/foreign/<uuid:foreign>/adopt", hosts.Adopt.as_view(), name="host-adopt"),
]
