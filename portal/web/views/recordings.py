"""Recordings of consoles: the list, and the page that plays one."""

from datetime import timedelta
from typing import Any

from django.db.models import Q
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _

from broker.access.require import find, visible_to
from broker.connections.actions.delete_recording import delete_recording
from broker.connections.actions.download_video import download_video
from broker.connections.models import Recording
from broker.connections.recording.film import ffmpeg
from broker.connections.recording.queries import visible_recordings
from broker.core import clock
from broker.core.errors import Conflict, Unavailable
from broker.events.models import Event
from portal.pieces import sent
from portal.web.base import Deed, Page, SignedIn, done, refused
from portal.web.listing import Column, Filter, Listing
from portal.web.parts import Action, Happening, happening
from portal.web.views.serial import TERMINAL
from portal.web.words import UNKNOWN, Mark
from portal.why import Sight

MOST_EVENTS = 200
LOOKS = ("recording.viewed", "recording.downloaded")
EARLY = timedelta(seconds=10)
"""What led to the console happened a moment before its recording began."""


def _mark(why: str) -> Mark:
    if not why:
        return Mark(_("Going on"), "warn")
    if why == Recording.Why.FINISHED:
        return Mark(_("Whole"), "good")
    return Mark(_("Ended early"), "bad") if why in Recording.Why.values else UNKNOWN


class Recordings(Page):
    template = "portal/manage/recordings.html"

    def content(self) -> dict[str, Any]:
        columns = (
            Column(_("Whose screen"), "user_name"), Column(_("Desktop"), "vm_name"), Column(_("State"), "why"),
            Column(_("Began"), "began_at"), Column(_("Length")), Column(_("Size"), "size_bytes"), Column(""),
        )  # fmt: skip
        listing = Listing(
            self.request,
            visible_recordings(self.actor),
            columns=columns,
            search=("user_name", "vm_name"),
            filters=(Filter("why", _("Ended"), "why", list(Recording.Why.choices)),),
            order="-began_at",
        )
        page = list(listing.page)
        there = Recording.objects.filter(pk__in=[row.pk for row in page])
        plays, deletes = (
            set(visible_to(self.actor, there, verb).order_by().values_list("pk", flat=True))
            for verb in ("recording.play", "recording.delete")
        )
        return {
            "listing": listing,
            "rows": [self._row(row, row.pk in plays, row.pk in deletes) for row in page],
        }

    def _row(self, row: Recording, plays: bool, deletes: bool) -> dict[str, Any]:
        over = row.ended_at is not None
        delete = Action(
            _("Delete"), reverse("portal:recording-delete", args=[row.pk]), "trash", danger=True,
            confirm=_("The recording and its file are gone for good."),
        )  # fmt: skip
        return {
            "id": row.pk,
            "user": row.user_name,
            "name": row.vm_name,
            "url": reverse("portal:vm", args=[row.vm_id]) if row.vm_id else "",
            "mark": _mark(row.why),
            "why": row.get_why_display() if row.why != Recording.Why.FINISHED else "",
            "began_at": row.began_at,
            "lasted": row.ended_at - row.began_at if row.ended_at else None,
            "size": row.size_bytes,
            "play": reverse("portal:recording", args=[row.pk]) if plays and over else "",
            "actions": [delete] if deletes and over else [],
        }


class Play(SignedIn):
    """The page that plays a recording. Opening it shows nothing yet: the script gets the file, which is an event."""

    def get(self, request: HttpRequest, pk: Any) -> HttpResponse:
        recording = find(self.actor, Recording, pk, "recording.play")
        address = reverse("api-recording-file", args=[recording.pk])
        serial = recording.kind == Recording.Kind.SERIAL
        page = {
            "title": _("%(user)s at %(vm)s") % {"user": recording.user_name, "vm": recording.vm_name},
            "back_url": reverse("portal:recordings"),
            "mark": _mark(recording.why),
            "why": recording.get_why_display() if recording.why else "",
            "began_at": recording.began_at,
            "file": address,
            "serial": serial,
            "video": reverse("portal:recording-video", args=[recording.pk]) if ffmpeg.kind() and not serial else "",
            "video_package": "" if serial else ffmpeg.PACKAGE,
            "over": recording.ended_at is not None,
            "marks": self._marks(recording),
            "data": {
                "file": address,
                "kind": recording.kind,
                "length": _milliseconds((recording.ended_at or clock.now()) - recording.began_at),
                "texts": _texts(),
            },
        }
        response = render(request, "portal/recording.html", {"page": page})
        response["Cache-Control"] = "no-store"
        if serial:
            response._csp_update = TERMINAL  # type: ignore[attr-defined]
        return response

    def _marks(self, recording: Recording) -> list[dict[str, Any]]:
        """What happened to the machine and to the person meanwhile, as far as the reader may read events."""
        about = Q(subject_kind="vm", subject_id=recording.vm_id) if recording.vm_id else Q(pk__in=[])
        if recording.user_id:
            about |= Q(subject_kind="user", subject_id=recording.user_id)
        rows = visible_to(self.actor, Event).filter(
            about, at__gte=recording.began_at - EARLY, at__lte=recording.ended_at or clock.now()
        )
        # Of who watched it before nothing can be seen in it.
        events = list(rows.exclude(kind__in=LOOKS).order_by("pk")[:MOST_EVENTS])
        sight = Sight(self.actor, [event.explanation for event in events])
        return [_place(happening(event, sight=sight), recording) for event in events]


def _place(told: Happening, recording: Recording) -> dict[str, Any]:
    return {"at": max(0, _milliseconds(told.at - recording.began_at)), "told": told}


class Video(SignedIn):
    def get(self, request: HttpRequest, pk: Any) -> HttpResponseBase:
        try:
            video = download_video(actor=self.actor, recording=find(self.actor, Recording, pk, "recording.play"))
        except (Conflict, Unavailable) as error:
            return refused(request, error)
        return sent(request, video.pieces, media_type=video.media_type, name=video.name)


class Delete(Deed):
    def do(self, pk: Any) -> HttpResponse:
        delete_recording(actor=self.actor, recording=find(self.actor, Recording, pk, "recording.view"))
        return done(self.request, _("The recording was deleted."), to=reverse("portal:recordings"))


def _milliseconds(time: timedelta) -> int:
    return int(time.total_seconds() * 1000)


def _texts() -> dict[str, str]:
    return {
        "play": _("Play"),
        "pause": _("Pause"),
        "loading": _("Loading the recording …"),
        "winding": _("Going there …"),
        "broken": _("The recording breaks off here: its file was changed or cut off."),
        "refused": _("The recording could not be opened."),
        "unreadable": _("What was recorded cannot be shown as a picture."),
        "empty": _("Nothing was shown on this screen."),
        "place": _("{now} of {all}"),
        "clipboard": _("The clipboard of the desktop was handed out"),
        "over": _("The recording is over."),
        "reading": _("Reading the whole recording before the video is made …"),
        "making": _("Making the video: {share} % ({size} MiB)"),
        "made": _("The video is made; your browser has it among its downloads."),
        "cancelled": _("Cancelled: no video was made."),
        "brokenOff": _("The video could not be made to its end. Try again, or download the recording itself."),
    }
