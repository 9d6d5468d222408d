"""Hand out a recording as a video, made while it is handed out; that it was is written down first."""

from dataclasses import dataclass

from broker.access.actor import Actor
from broker.access.require import require
from broker.connections.models import Recording
from broker.connections.recording.film import ffmpeg
from broker.connections.recording.video import Making, Taken
from broker.core.errors import Busy, Conflict, Unavailable
from broker.core.sealing import CannotOpen
from broker.core.text import gettext_noop as N_
from broker.events.record import record

_REFUSED = {
    "damaged": (
        N_("The recording's file was changed or cut off."),
        N_("Play it in the browser, which shows it up to there."),
    ),
    "unreadable": (
        N_("What was recorded cannot be shown as a picture."),
        N_("Download the recording itself and see what a player of VNC sessions makes of it."),
    ),
    "empty": (N_("Nothing was shown on this screen."), N_("There is nothing to make a video of.")),
    "long": (N_("The recording is too long for a video: at most twelve hours."), N_("Play it in the browser.")),
}


@dataclass(frozen=True, slots=True)
class Video:
    media_type: str
    name: str
    pieces: Making
    """To be closed when nobody wants more: what makes it ends then. Raises BrokenOff where it cannot be finished."""


def download_video(*, actor: Actor, recording: Recording) -> Video:
    """A finished recording as a video. Raises Missing, Denied without "recording.play";

    Unavailable where no ffmpeg is, Busy while another video is made here, Conflict while the recording goes on, and
    when there is nothing to be made of it: all of it is read once before the first byte is handed out.
    """
    require(actor, "recording.play", recording)
    if recording.ended_at is None:
        raise Conflict(
            N_("The recording is still going on."),
            rule="recording.ended",
            fix=N_("Wait until the console is closed."),
        )
    if recording.kind == Recording.Kind.SERIAL:
        raise Conflict(
            N_("Of a serial line there is no picture to make a video of."),
            rule="recording.video-serial",
            fix=N_("Play it in the browser, or download it for a player of terminal sessions."),
        )
    kind = ffmpeg.kind()
    if kind is None:
        raise Unavailable(
            N_("Videos are made by ffmpeg, which is not installed here."),
            rule="recording.ffmpeg",
            fix=N_("Install the Debian package %(package)s on the computer that serves the pages."),
            package=ffmpeg.PACKAGE,
        )
    making = _begun(recording)
    try:
        if making.verdict != "ok":
            message, fix = _REFUSED.get(making.verdict, _REFUSED["unreadable"])
            raise Conflict(message, rule=f"recording.video-{making.verdict or 'failed'}", fix=fix)
        record(
            "recording.downloaded",
            actor=actor,
            subject=recording.vm,
            message=N_("%(by)s downloaded the recording of %(user)s at %(vm)s as a video."),
            by=actor.name,
            user=recording.user_name,
            vm=recording.vm_name,
            recording=recording.pk,
        )
    except BaseException:
        making.close()
        raise
    return Video(kind.media_type, f"{recording.pk}.{kind.ending}", making)


def _begun(recording: Recording) -> Making:
    try:
        return Making(recording)
    except Taken:
        raise Busy(
            N_("Another video is being made."),
            rule="recording.video-busy",
            fix=N_("Try again when it is finished: one is made at a time."),
        ) from None
    except (OSError, CannotOpen) as error:
        raise Conflict(
            N_("The recording's file cannot be opened."),
            rule="recording.file",
            fix=N_("See whether the directory of recordings and the secret key are those it was made with."),
        ) from error
