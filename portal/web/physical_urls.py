"""The addresses of the pages of physical PCs."""

from django.urls import path

from .views import physical_pcs

urlpatterns = [
    path("manage/physical-pcs/", physical_pcs.PhysicalPcs.as_view(), name="physical-pcs"),
    path("manage/physical-pcs/new", physical_pcs.NewPc.as_view(), name="physical-pc-new"),
    path("manage/physical-pcs/<uuid:pk>/edit", physical_pcs.EditPc.as_view(), name="physical-pc-edit"),
    path("manage/physical-pcs/<uuid:pk>/delete", physical_pcs.DeletePc.as_view(), name="physical-pc-delete"),
]
