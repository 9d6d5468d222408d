"""The addresses of instance types."""

from django.urls import path

from .views import instance_types

urlpatterns = [
    path("vms/<uuid:pk>/resize", instance_types.Resize.as_view(), name="vm-resize"),
    path("manage/instance-types/", instance_types.InstanceTypes.as_view(), name="instance-types"),
    path("manage/instance-types/new", instance_types.NewType.as_view(), name="instance-type-new"),
    path("manage/instance-types/<uuid:pk>/edit", instance_types.EditType.as_view(), name="instance-type-edit"),
    path("manage/instance-types/<uuid:pk>/delete", instance_types.DeleteType.as_view(), name="instance-type-delete"),
]
