"""The addresses of the pages about recordings."""

from django.urls import path

from .views import recordings

urlpatterns = [
    path("manage/recordings/", recordings.Recordings.as_view(), name="recordings"),
    path("manage/recordings/<uuid:pk>/", recordings.Play.as_view(), name="recording"),
    path("manage/recordings/<uuid:pk>/video", recordings.Video.as_view(), name="recording-video"),
    path("manage/recordings/<uuid:pk>/delete", recordings.Delete.as_view(), name="recording-delete"),
]
