"""Open a file that was made of a machine or a disk of it, to send it to who may have it."""

import os
from typing import BinaryIO

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.errors import Busy, Unavailable
from broker.core.text import gettext_noop as N_
from broker.events.record import record
from broker.virt import exports
from broker.virt.models import DiskExport


def download_export(*, actor: Actor, export: DiskExport, first: bool = True) -> BinaryIO:
    """The open file. `first`: the download begins, which becomes an event; going on with one does not.

    Raises Missing, Denied, Busy while it is being made, or Unavailable when it is not on this server.
    """
    require(actor, "vm.backup", export.vm)
    if export.ready_at is None:
        raise Busy(N_("This file is being made."), fix=N_("Wait until its job is done."))
    try:
        file = os.fdopen(os.open(exports.path_of(export.pk), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb")
    except OSError as error:
        raise Unavailable(
            N_("The file of %(name)s is not on this server (%(reason)s)."), rule="export.here",
            fix=N_("Have it made again; all web servers and workers need the same data directory."),
            name=export.name, reason=error.strerror or "?",
        ) from error  # fmt: skip
    if first:
        record(
            "vm.export.downloaded", actor=actor, subject=export.vm,
            message=N_("%(file)s, made of %(name)s, was downloaded"), file=export.name, name=export.vm.name,
        )  # fmt: skip
    return file
