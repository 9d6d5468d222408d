"""The addresses of placement in a cluster."""

from django.urls import path

from .views import placement

urlpatterns = [
    path("manage/clusters/<uuid:pk>/rules", placement.Rules.as_view(), name="cluster-rules"),
    path("manage/clusters/<uuid:pk>/what-if", placement.WhatIf.as_view(), name="cluster-what-if"),
    path("manage/clusters/<uuid:pk>/balance", placement.Rehearsal.as_view(), name="cluster-balance"),
    path("manage/clusters/<uuid:pk>/affinity", placement.Groups.as_view(), name="groups-of-cluster"),
    path("manage/clusters/<uuid:pk>/affinity/new", placement.NewGroup.as_view(), name="group-of-cluster-new"),
    path("manage/affinity/<uuid:pk>/edit", placement.EditGroup.as_view(), name="affinity-group-edit"),
    path("manage/affinity/<uuid:pk>/delete", placement.DeleteGroup.as_view(), name="affinity-group-delete"),
]
