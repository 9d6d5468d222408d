"""The addresses of high availability."""

from django.urls import path

from .views import availability

urlpatterns = [
    path("manage/hosts/<uuid:pk>/availability/", availability.HostAvailability.as_view(), name="host-availability"),
    path("manage/hosts/<uuid:pk>/fence-devices/new", availability.NewDevice.as_view(), name="fence-device-new"),
    path("manage/hosts/<uuid:pk>/availability/fence", availability.FenceHost.as_view(), name="host-fence"),
    path("manage/hosts/<uuid:pk>/availability/confirm", availability.Confirm.as_view(), name="host-confirm-rebooted"),
    path("manage/fence-devices/<uuid:pk>/delete", availability.DeleteDevice.as_view(), name="fence-device-delete"),
    path("manage/clusters/<uuid:pk>/availability/", availability.ClusterAvailability.as_view(),
         name="cluster-availability"),
    path("manage/clusters/<uuid:pk>/availability/settings", availability.ClusterSettings.as_view(), name="cluster-ha"),
]  # fmt: skip
