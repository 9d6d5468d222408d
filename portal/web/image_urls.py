"""The addresses of the library of images."""

from django.urls import path

from .views import cds, image_sources, images

urlpatterns = [
    path("vms/<uuid:pk>/cd", cds.ChangeCd.as_view(), name="vm-cd"),
    path("manage/images/", images.Images.as_view(), name="images"),
    path("manage/images/upload", images.Upload.as_view(), name="image-upload"),
    path("manage/images/fetch", image_sources.Fetch.as_view(), name="image-fetch"),
    path("manage/image-sources/", image_sources.Sources.as_view(), name="image-sources"),
    path("manage/image-sources/new", image_sources.NewSource.as_view(), name="image-source-new"),
    path("manage/image-sources/<uuid:pk>/edit", image_sources.EditSource.as_view(), name="image-source-edit"),
    path("manage/image-sources/<uuid:pk>/delete", image_sources.DeleteSource.as_view(), name="image-source-delete"),
    path("manage/images/<uuid:pk>/edit", images.EditImage.as_view(), name="image-edit"),
    path("manage/images/<uuid:pk>/", images.ImageOne.as_view(), name="image"),
    path("manage/images/<uuid:pk>/delete", images.DeleteImage.as_view(), name="image-delete"),
]
