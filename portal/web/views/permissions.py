"""Who may what on an object, or on the whole system: given there, inherited from above, and giving and taking it."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.db import models
from django.http import HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _

from broker.access.actions.grant import grant
from broker.access.actions.revoke import revoke
from broker.access.explain import verbs_for
from broker.access.handing_out import lacking
from broker.access.kinds import GRANTABLE, KINDS
from broker.access.lineage import lineage
from broker.access.models import Grant, Role
from broker.access.objects import granted_object
from broker.access.queries import grants, roles
from broker.access.require import find, may, require, visible_to
from broker.access.roles import covers
from broker.core.errors import Invalid, Missing
from broker.core.text import gettext_noop as N_
from broker.directories.models import Group, User
from broker.virt.models import Cluster
from portal.web.access_page import KIND_WORDS, names_of, page_of, place
from portal.web.base import Deed, Page, done
from portal.web.parts import Action

MOST = 500


class OnObject(Page):
    template = "portal/manage/permissions.html"

    def content(self, kind: str, pk: Any) -> dict[str, Any]:
        obj = _object(self.actor, kind, pk)
        above = [one for one in lineage(obj) if one != (kind, obj.pk)]
        return {
            **_tables(self.actor, kind, obj, above),
            "title": _("Who may what on %(name)s") % {"name": obj},
            "under": KIND_WORDS[kind],
            "back_url": page_of(kind, obj.pk) or reverse("portal:permissions-system"),
            "back_label": str(obj) if page_of(kind, obj.pk) else _("Permissions"),
            "kind": kind,
            "object_id": obj.pk,
        }


class OnSystem(Page):
    template = "portal/manage/permissions.html"

    def content(self) -> dict[str, Any]:
        if not may(self.actor, "system.view"):
            require(self.actor, "system.manage")
        return {
            **_tables(self.actor, "system", None, []),
            # A cluster has no page of its own to come from.
            "clusters": [
                {"name": str(row), "url": reverse("portal:permissions", args=["cluster", row.pk])}
                for row in visible_to(self.actor, Cluster)[:MOST]
            ],
            "title": _("Who may what on everything"),
            "under": _("What is given here counts for every object."),
            "back_url": reverse("portal:roles"),
            "back_label": _("Roles"),
            "kind": "system",
            "object_id": "",
        }


def _object(actor: Any, kind: str, pk: Any) -> models.Model:
    """The object whose permissions the reader may see; raises Missing or Denied."""
    if kind not in GRANTABLE:
        raise Missing(N_("There is no such object."), fix=N_("Go back to the list."))
    model: Any = KINDS.get(kind).model
    obj: models.Model = find(actor, model, pk)
    if not may(actor, "system.view"):
        require(actor, f"{kind}.manage", obj)
    return obj


def _tables(actor: Any, kind: str, obj: models.Model | None, above: Sequence[tuple[str, UUID]]) -> dict[str, Any]:
    here = models.Q(object_kind=kind, object_id=obj.pk if obj is not None else None)
    inherited = models.Q(object_kind="system") if obj is not None else models.Q(pk__in=[])
    for parent, parent_id in above:
        inherited |= models.Q(object_kind=parent, object_id=parent_id)
    rows = list(grants(actor).filter(here | inherited).order_by("object_kind", "created_at", "pk")[:MOST])
    names = names_of(actor, rows)
    object_id = obj.pk if obj is not None else None
    given = [row for row in rows if (row.object_kind, row.object_id) == (kind, object_id)]
    manages = may(actor, "system.manage") or (obj is not None and may(actor, f"{kind}.manage", obj))
    mine = [role for role in roles(actor) if manages and not lacking(actor, role.verbs, obj)]
    mine_ids = {role.pk for role in mine}
    return {
        "given": [_line(row, names, take=row.role_id in mine_ids) for row in given],
        "inherited": [_line(row, names, take=False) for row in rows if row not in given],
        "roles": [(role.pk, _(role.title)) for role in mine if _fits(role, obj)],
    }


def _fits(role: Role, obj: models.Model | None) -> bool:
    """Whether a role would give anything on the object."""
    return obj is None or any(covers(role.verbs, verb) for verb in verbs_for(obj))


def _line(row: Grant, names: dict[Any, str], *, take: bool) -> dict[str, Any]:
    who = str(row.user or row.group)
    text = _("%(who)s loses the role %(role)s here.") % {"who": who, "role": _(row.role.title)}
    address = reverse("portal:permission-take", args=[row.pk])
    return {
        "id": row.pk,
        "who": who,
        "group": row.user_id is None,
        "role": _(row.role.title),
        "role_url": reverse("portal:role", args=[row.role_id]),
        "place": place(row, names),
        "since": row.created_at,
        "take": Action(_("Take it away"), address, "x", danger=True, confirm=text) if take else None,
    }


class Give(Deed):
    """Give a user or a group, by name, a role."""

    def do(self) -> HttpResponse:
        sent = self.request.POST
        kind, object_id = sent.get("kind", "system"), sent.get("object", "") or None
        obj = granted_object(kind, object_id)
        if obj is not None:
            _object(self.actor, kind, obj.pk)
        role = _found(roles(self.actor), sent.get("role"))
        name = sent.get("name", "").replace("\0", "").strip()[:255]
        user = User.objects.filter(username__iexact=name).first()
        group = None if user else Group.objects.filter(name__iexact=name).first()
        if user is None and group is None:
            raise Invalid(
                N_("There is no user and no group called %(name)s."),
                fix=N_("Check the spelling."), field="name", name=name,
            )  # fmt: skip
        grant(actor=self.actor, role=role, user=user, group=group, obj=obj)
        return done(self.request, _("%(who)s has the role now.") % {"who": user or group})


class Take(Deed):
    def do(self, pk: Any) -> HttpResponse:
        revoke(actor=self.actor, grant=_found(grants(self.actor), pk))
        return done(self.request, _("The role was taken away."))


def _found(rows: Any, pk: Any) -> Any:
    """The row; raises Missing also for what is no id."""
    try:
        found = rows.filter(pk=UUID(str(pk))).first()
    except ValueError:
        found = None
    if found is None:
        raise Missing(N_("There is no such object."), fix=N_("Load the page anew."))
    return found
