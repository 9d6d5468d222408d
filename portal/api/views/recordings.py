"""Recordings of consoles."""

from typing import Any

from django.db.models import QuerySet
from django.http import StreamingHttpResponse
from django_filters import rest_framework as filters
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from broker.connections.actions.delete_recording import delete_recording
from broker.connections.actions.download_video import download_video
from broker.connections.actions.play_recording import play_recording
from broker.connections.models import Recording
from broker.connections.recording import cast
from broker.connections.recording.queries import visible_recordings
from broker.connections.recording.replay import MEDIA_TYPE
from portal.api.base import Listed, Read, Resource
from portal.api.files import FileRenderer
from portal.api.queries import choices
from portal.api.serializers.recordings import RecordingSerializer
from portal.pieces import sent


class Session(FileRenderer):
    media_type, format = MEDIA_TYPE, "rfb-session"


class Film(FileRenderer):
    media_type, format = "video/*", "video"


class RecordingFilter(filters.FilterSet):
    user = filters.UUIDFilter(field_name="user_id")
    vm = filters.UUIDFilter(field_name="vm_id")
    why = choices(Recording.Why.values)
    began_after = filters.IsoDateTimeFilter(field_name="began_at", lookup_expr="gte")
    began_before = filters.IsoDateTimeFilter(field_name="began_at", lookup_expr="lt")


class Recordings(Listed, Read, Resource):
    """Those of oneself, and those at machines on which one has the right to see them."""

    serializer_class = RecordingSerializer
    filterset_class = RecordingFilter
    ordering = ("-began_at",)
    ordering_fields = ("began_at", "ended_at", "size_bytes")

    def rows(self) -> QuerySet[Recording]:
        return Recording.objects.select_related("user", "vm")

    def visible(self, rows: QuerySet[Recording]) -> QuerySet[Recording]:
        return visible_recordings(self.actor)

    def destroy(self, request: Request, pk: Any) -> Response:
        """Delete it and its file, for good."""
        self.nothing()
        delete_recording(actor=self.actor, recording=self.find())
        return Response(status=204)

    @extend_schema(responses={(200, MEDIA_TYPE): OpenApiTypes.BINARY, (200, cast.MEDIA_TYPE): OpenApiTypes.BINARY})
    @action(detail=True, methods=["get"], url_path="file", url_name="file", renderer_classes=[Session])
    def file(self, request: Request, pk: Any) -> StreamingHttpResponse:
        """The recording, decrypted: a screen in the format of rfbproxy (FBS 001.000), a serial line as an asciicast.

        That it was opened becomes an event.
        """
        recording = self.find()
        pieces = play_recording(actor=self.actor, recording=recording)
        if recording.kind == Recording.Kind.SERIAL:
            return sent(request._request, pieces, media_type=cast.MEDIA_TYPE, name=f"{recording.pk}.cast")
        return sent(request._request, pieces, media_type=MEDIA_TYPE, name=f"{recording.pk}.fbs")

    @extend_schema(responses={(200, "video/webm"): OpenApiTypes.BINARY, (200, "video/mp4"): OpenApiTypes.BINARY})
    @action(detail=True, methods=["get"], url_path="video", url_name="video", renderer_classes=[Film])
    def video(self, request: Request, pk: Any) -> StreamingHttpResponse:
        """The recording as a video, made while it is sent, one at a time. That it was downloaded becomes an event."""
        video = download_video(actor=self.actor, recording=self.find())
        return sent(request._request, video.pieces, media_type=video.media_type, name=video.name)
