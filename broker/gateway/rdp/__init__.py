"""A desktop's own remote desktop (RDP) for browsers: what speaks RDP is a client of the gateway's own, see `screen`."""

from .screen import begin

__all__ = ["begin"]
