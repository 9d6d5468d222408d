"""Hand out what was recorded, decrypted; that it was looked at is written down first."""

from collections.abc import Generator

from broker.access.actor import Actor
from broker.access.require import require
from broker.connections.models import Recording
from broker.connections.recording import cast
from broker.connections.recording.files import key_of, path_of
from broker.connections.recording.replay import blocks
from broker.core.errors import Conflict
from broker.core.sealing import CannotOpen
from broker.core.text import gettext_noop as N_
from broker.events.record import record


def play_recording(*, actor: Actor, recording: Recording) -> Generator[bytes, None, None]:
    """The stream of a finished recording (see recording.replay; of a serial line, recording.cast). Raises Missing;

    Denied without "recording.play";

    Conflict while it goes on, or when its file or key is gone. The stream stops with Damaged at what is not genuine.
    """
    require(actor, "recording.play", recording)
    if recording.ended_at is None:
        raise Conflict(
            N_("The recording is still going on."),
            rule="recording.ended",
            fix=N_("Wait until the console is closed."),
        )
    try:
        key, file = key_of(recording), path_of(recording.pk).open("rb")
    except (OSError, CannotOpen) as error:
        raise Conflict(
            N_("The recording's file cannot be opened."),
            rule="recording.file",
            fix=N_("See whether the directory of recordings and the secret key are those it was made with."),
        ) from error
    record(
        "recording.viewed",
        actor=actor,
        subject=recording.vm,
        message=N_("%(by)s opened the recording of %(user)s at %(vm)s."),
        by=actor.name,
        user=recording.user_name,
        vm=recording.vm_name,
        recording=recording.pk,
    )
    if recording.kind == Recording.Kind.SERIAL:
        return cast.lines(file, recording.pk, key, whole=recording.whole, began=recording.began_at)
    return blocks(file, recording.pk, key, whole=recording.whole)
