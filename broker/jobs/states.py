"""The life of a job, and the only places that write it."""

from enum import StrEnum

from broker.core.states import Machine, transition
from broker.core.text import gettext_noop as N_


class JobState(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"
    UNDOING = "undoing"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    ERRORED = "errored"


ACTIVE = frozenset({JobState.QUEUED, JobState.RUNNING, JobState.WAITING, JobState.UNDOING})
ENDED = frozenset(JobState) - ACTIVE

JOB = Machine(
    name="job",
    states=JobState,
    initial=JobState.QUEUED,
    transitions={
        "claim": transition("queued waiting running", JobState.RUNNING),
        "claim_undo": transition("undoing", JobState.UNDOING),
        "wait": transition("running", JobState.WAITING),
        "undo": transition("queued running waiting", JobState.UNDOING),
        "succeed": transition("running", JobState.SUCCEEDED),
        "fail": transition("undoing", JobState.FAILED),
        "cancel": transition("undoing", JobState.CANCELLED),
        "err": transition("undoing", JobState.ERRORED),
    },
    meanings={
        JobState.QUEUED: N_("Accepted; no worker has taken it yet."),
        JobState.RUNNING: N_("A worker holds the lease and is at a step."),
        JobState.WAITING: N_("Nothing to do until something outside happens."),
        JobState.UNDOING: N_("It cannot be finished; what was done is being taken back."),
        JobState.SUCCEEDED: N_("Everything was done."),
        JobState.FAILED: N_("The work said no; everything was undone."),
        JobState.CANCELLED: N_("Somebody cancelled it; everything was undone."),
        JobState.ERRORED: N_("A defect in Berth stopped it; what could be undone was."),
    },
    unstable={
        JobState.QUEUED: "The waker sends it again every few seconds until a worker claims it.",
        JobState.RUNNING: "The waker sends it again when its lease has run out.",
        JobState.WAITING: "The waker sends it again when its time has come.",
        JobState.UNDOING: "The waker sends it again when its lease has run out.",
    },
    sets={"active": ACTIVE, "ended": ENDED},
)
