"""Writing what a machine shows to a file, beside the relay and never in its way."""

from .recorder import Recorder, Scribe, Tape

__all__ = ["Recorder", "Scribe", "Tape"]
