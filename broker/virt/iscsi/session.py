"""The manager's session with an iSCSI target: the same as an agent's, with refusals that people can read."""

from broker.core.text import gettext_noop
from broker.virt.agent import target
from broker.virt.agent.target import address as address
from broker.virt.driver import Locked, Refused, StorageSilent

INITIATOR = "iqn.2026-01.io.berth:manager"


class Session(target.Session):
    """Raises StorageSilent and Refused."""

    INITIATOR = INITIATOR

    def _turned_away(self, kind: int, detail: int) -> Exception:
        if kind == 2 and detail in (1, 2):
            return Refused(
                gettext_noop("The iSCSI target does not let us in."),
                fix=gettext_noop("Check the CHAP user and password, and that the target admits this initiator."),
            )
        if kind == 2 and detail == 3:
            return Refused(
                gettext_noop("There is no iSCSI target %(target)s at %(portal)s."),
                fix=gettext_noop("Check the name of the target."), target=self.target, portal=self.portal,
            )  # fmt: skip
        return self._strange()

    def _silent(self, error: OSError | None) -> Exception:
        return StorageSilent(
            gettext_noop("The iSCSI portal %(portal)s does not answer: %(reason)s."),
            fix=gettext_noop("Check that it is on and that the network lets us through."),
            portal=self.portal,
            reason=gettext_noop("it hung up") if error is None else error.strerror or str(error),
        )

    def _strange(self) -> Exception:
        return Refused(
            gettext_noop("The iSCSI portal %(portal)s answers what we do not understand."),
            fix=gettext_noop("Check that it is an iSCSI target and look into its log."), portal=self.portal,
        )  # fmt: skip

    def when_held(self, lun: int) -> Exception:
        return Locked(
            gettext_noop("LUN %(lun)s of %(target)s is held by somebody else."),
            fix=gettext_noop("Try again; if it stays so, look who else uses the target."),
            lun=lun, target=self.target,
        )  # fmt: skip

    def when_refused(self, lun: int, command: bytes, sense: bytes) -> Exception:
        return Refused(
            gettext_noop("LUN %(lun)s of %(target)s refuses command %(command)s (sense %(sense)s)."),
            fix=gettext_noop("Look into the log of the target."),
            lun=lun, target=self.target, command=f"{command[0]:02x}", sense=sense[:14].hex(),
        )  # fmt: skip
