"""cluster.look-iscsi: ask a portal for its targets and LUNs, and what lies on these, before a storage is made of them.

args: `portal`, `user` and `secret` (CHAP's password, sealed; gone when the job ends); the look saves `found`.
"""

from typing import Any

from broker.core.errors import Conflict
from broker.core.sealing import CannotOpen
from broker.core.text import gettext_noop as N_
from broker.jobs.context import Context
from broker.jobs.plans import Plan, Step, register
from broker.virt import storage_notes
from broker.virt.iscsi import look
from broker.virt.storage_secret import unsealed


def ask(ctx: Context) -> None:
    try:
        password = unsealed(ctx.args["secret"])
    except CannotOpen:
        raise Conflict(
            N_("The password cannot be read any more: the secret key of Berth was changed."), rule="storage.secret",
            fix=N_("Look again."),
        ) from None  # fmt: skip
    found = look.at(
        ctx.args["portal"], user=ctx.args["user"], password=password,
        progress=lambda share: ctx.progress(share, N_("Looking at the targets")),
    )  # fmt: skip
    ctx.save(found=[_target(one) for one in found], secret="")


def forget(ctx: Context) -> None:
    ctx.save(secret="")


def looked(ctx: Context) -> bool:
    return "found" in ctx.args


def _target(found: look.Found) -> dict[str, Any]:
    return {
        "name": found.name,
        "portals": list(found.portals),
        "problem": found.problem.as_dict() if found.problem else None,
        "luns": [_lun(one) for one in found.luns],
    }


def _lun(seen: look.Seen) -> dict[str, Any]:
    """`holder`: which Berth uses it; `storage`: what it calls it there; `ours`: that Berth is this one."""
    note = storage_notes.newest(seen.notes)
    document = note.document if note else {}
    attached = document.get("state") == storage_notes.ATTACHED
    storage = document.get("storage")
    return {
        "lun": seen.lun, "size": seen.size, "content": seen.content, "volume": seen.volume,
        "holder": storage_notes.holder(document) if attached else "",
        "storage": str(storage.get("name", ""))[:64] if isinstance(storage, dict) else "",
        "ours": document.get("installation") == storage_notes.installation(),
    }  # fmt: skip


register(
    Plan(
        "cluster.look-iscsi",
        N_("Look for iSCSI LUNs for"),
        "cluster",
        (Step("ask", ask, N_("Ask the portal"), probe=looked, undo=forget),),
        patience=0.0,
    )
)
