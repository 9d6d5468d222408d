"""Which kind of video the ffmpeg that is installed here can make, and the command that makes it."""

import shutil
import subprocess
from dataclasses import dataclass
from functools import lru_cache

PACKAGE = "ffmpeg"
"""Debian's package that brings it."""
_KEYFRAME_SECONDS = 10
_BITS = "3M"
_WEBM = ("-f", "webm", "-cluster_time_limit", "4000")
_MP4 = ("-f", "mp4", "-movflags", "frag_keyframe+empty_moov+default_base_moof")
# libvpx's constant quality, 4 (best) to 63; letters must stay readable.
_VPX = ("-deadline", "realtime", "-cpu-used", "4", "-lag-in-frames", "0", "-auto-alt-ref", "0", "-crf", "8")


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of video: its type, the ending of its name, and what ffmpeg must be told."""

    media_type: str
    ending: str
    encoder: str
    options: tuple[str, ...]


_KINDS = (
    Kind("video/webm", "webm", "libvpx", (*_VPX, *_WEBM)),
    Kind("video/webm", "webm", "libvpx-vp9", (*_VPX, "-cpu-used", "7", *_WEBM)),
    Kind("video/mp4", "mp4", "libx264", ("-preset", "veryfast", "-crf", "20", *_MP4)),
)


def kind() -> Kind | None:
    """None where there is no ffmpeg, or none that can make a video browsers show."""
    path = shutil.which("ffmpeg")
    return _best(path) if path else None


@lru_cache(maxsize=4)
def _best(path: str) -> Kind | None:
    try:
        told = subprocess.run(
            [path, "-hide_banner", "-encoders"], capture_output=True, text=True, timeout=20, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    known = {words[1] for line in told.splitlines() if len(words := line.split()) > 1}
    return next((one for one in _KINDS if one.encoder in known), None)


def command(kind: Kind, milliseconds: int) -> list[str]:
    """From pictures at its input (`matroska.Writer`) to a video at its output that lasts so long."""
    seconds = milliseconds / 1000
    lasts = f"{int(seconds // 3600):02}:{int(seconds // 60 % 60):02}:{seconds % 60:06.3f}"
    return [
        "ffmpeg", "-v", "error", "-nostdin", "-protocol_whitelist", "pipe", "-f", "matroska", "-i", "pipe:0",
        "-map", "0:v", "-fps_mode", "vfr", "-c:v", kind.encoder, "-threads", "1", "-b:v", _BITS,
        "-force_key_frames", f"expr:gte(t,n_forced*{_KEYFRAME_SECONDS})", "-pix_fmt", "yuv420p",
        # A pipe cannot be written to afterwards; so the length is told before.
        "-metadata:s:v", f"DURATION={lasts}", "-flush_packets", "1", *kind.options, "pipe:1",
    ]  # fmt: skip
