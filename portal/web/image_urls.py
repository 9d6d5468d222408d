"""The addresses of the library of images."""

from django.urls import path

from .views import cds, images

urlpatterns = [
    path("vms/<uuid:pk>/cd", cds.ChangeCd.as_view(), name="vm-cd"),
    path("manage/images/", images.Images.as_view(), name="images"),
    path("manage/images/upload", images.Upload.as_view(), name="image-upload"),
    path("manage/images/<uuid:pk>/", images.ImageOne.as_view(), name="image"),
    path("manage/images/<uuid:pk>/delete", images.DeleteImage.as_view(), name="image-delete"),
]
