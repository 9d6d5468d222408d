"""What drivers raise, and nothing else, with what several say alike; imported from the package."""

from broker.core.errors import BerthError
from broker.core.text import gettext_noop


class DriverError(BerthError):
    """The hypervisor refused or failed; trying again will not help by itself."""

    code, status = "hypervisor", 502


class HostUnreachable(DriverError):
    """The host does not answer. Whether the call had an effect is unknown: observe before acting."""

    code, status, retry = "host-unreachable", 503, True


class NotFound(DriverError):
    """No such machine, volume or network on this host."""

    code, status = "not-found-on-host", 404


class Refused(DriverError):
    """The host understood and said no (wrong state, unsupported, invalid definition)."""

    code, status = "refused-by-host", 409


class StorageSilent(DriverError):
    """A storage that Berth speaks to itself does not answer; the host may be well."""

    code, status, retry = "storage-silent", 503, True


class Unsupported(Refused):
    """This host or driver cannot do this at all."""

    code = "unsupported"


class Locked(Refused):
    """Somebody else holds the machine, the image or the monitor; may pass."""

    code, retry = "locked", True


class NoSpace(DriverError):
    """The storage is full."""

    code, status = "no-space", 507


def no_volume(name: str) -> NotFound:
    """There is no such volume on the host."""
    return NotFound(
        gettext_noop("There is no volume “%(name)s” on the host."),
        fix=gettext_noop("Look whether somebody removed it."),
        name=name,
    )


def lain_on(name: str, other: str) -> Refused:
    """A volume that is to be overwritten has others above it."""
    return Refused(
        gettext_noop("“%(other)s” lies on “%(name)s”, which is not overwritten therefore."),
        fix=gettext_noop("Delete what lies on it first."),
        name=name,
        other=other,
    )


def not_running(name: str) -> Refused:
    """What is asked needs the machine to run."""
    return Refused(
        gettext_noop("The machine “%(name)s” is not running."), fix=gettext_noop("Start it first."), name=name
    )
