"""Whether somebody may see the object that news is about; asked often, so remembered for some seconds."""

import time
from collections.abc import Callable
from uuid import UUID

from broker.access.actor import Actor
from broker.access.kinds import KINDS
from broker.access.require import may, visible_to
from broker.jobs.models import Job

REMEMBERED = 10.0
MOST = 4096


class Sight:
    """One person's view. Rights are read anew every ten seconds, so a right taken away is soon felt."""

    def __init__(self, actor: Callable[[], Actor], clock: Callable[[], float] = time.monotonic):
        self._make_actor, self._clock = actor, clock
        self._actor, self._read_at = actor(), clock()
        self._known: dict[tuple[str, str], bool] = {}

    def sees(self, kind: str, id: str) -> bool:
        """Whether the person may see object `id` of `kind`; may ask the database."""
        now = self._clock()
        if now - self._read_at > REMEMBERED or len(self._known) > MOST:
            self._actor, self._read_at = self._make_actor(), now
            self._known.clear()
        key = (kind, id)
        if key not in self._known:
            self._known[key] = self._ask(kind, id)
        return self._known[key]

    def _ask(self, kind: str, id: str) -> bool:
        try:
            pk = UUID(id)
        except ValueError:
            return may(self._actor, f"{kind}.view")
        if kind == "job":
            return self._sees_job(pk)
        if kind in ("desktop", "session"):
            return self._sees_by_machine(kind, pk)
        if kind not in KINDS:
            return may(self._actor, "system.view")
        model = KINDS.get(kind).model
        if visible_to(self._actor, model).filter(pk=pk).exists():
            return True
        # What was just deleted has no row to ask about; those who look after its kind are told.
        return not model._base_manager.filter(pk=pk).exists() and may(self._actor, f"{kind}.view")

    def _sees_job(self, pk: UUID) -> bool:
        """A job is news to its actor, to those who read jobs, and to those who see what it works on."""
        if may(self._actor, "job.view"):
            return True
        job = Job.objects.filter(pk=pk).only("subject_kind", "subject_id", "actor_id").first()
        if job is None:
            return False
        return job.actor_id == self._actor.user_id or self.sees(job.subject_kind, str(job.subject_id))

    def _sees_by_machine(self, kind: str, pk: UUID) -> bool:
        """Desktops share their machine's id; a session belongs to its user and to those who see the machine."""
        if kind == "desktop":
            return self.sees("vm", str(pk))
        from broker.connections.models import Session

        session = Session.objects.filter(pk=pk).only("vm_id", "user_id").first()
        return session is not None and (session.user_id == self._actor.user_id or self.sees("vm", str(session.vm_id)))
