"""The addresses of what changes machines and networks."""

from django.urls import path

from .views import changes, devices

urlpatterns = [
    path("vms/<uuid:pk>/changes/", changes.Changes.as_view(), name="vm-changes"),
    path("vms/<uuid:pk>/changes/undo", changes.Undo.as_view(), name="changes-undo"),
    path("vms/<uuid:pk>/changes/apply", changes.Apply.as_view(), name="changes-apply"),
    path("vms/<uuid:pk>/cards/new", changes.NewCard.as_view(), name="card-new"),
    path("vms/<uuid:pk>/cards/<uuid:card>/edit", changes.EditCard.as_view(), name="card-edit"),
    path("vms/<uuid:pk>/cards/<uuid:card>/delete", changes.DeleteCard.as_view(), name="card-delete"),
    path("vms/<uuid:pk>/devices/new", devices.NewDevice.as_view(), name="device-new"),
    path("vms/<uuid:pk>/devices/<uuid:use>/delete", devices.TakeDevice.as_view(), name="device-delete"),
    path("vms/<uuid:pk>/run-once", changes.RunOnce.as_view(), name="vm-once"),
    path("vms/<uuid:pk>/clone", changes.Clone.as_view(), name="vm-clone"),
    path("manage/networks/<uuid:pk>/edit", changes.EditNetwork.as_view(), name="network-edit"),
]
