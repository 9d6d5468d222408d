"""What somebody may do here, and why: one's own rights for everybody, others' for who may see people."""

from typing import Any

from django.urls import reverse
from django.utils.translation import gettext as _

from broker.access.kinds import GRANTABLE, KINDS
from broker.access.require import find, visible_to
from broker.directories.models import User
from portal.context import manages
from portal.rights import Rights, asked_object, rights_of
from portal.web.access_page import KIND_WORDS, MODES, bars, page_of, sections, whose
from portal.web.base import Page

MOST_OFFERED = 200


class RightsOf(Page):
    """With ?on=<kind>:<id> about one object."""

    template = "portal/manage/rights.html"

    def content(self, pk: Any) -> dict[str, Any]:
        user = find(self.actor, User, pk)
        on = self.request.GET.get("on", "").replace("\0", "")
        kind, _colon, object_id = on.partition(":")
        obj = asked_object(self.actor, kind or None, object_id or None)
        found = rights_of(self.actor, user, obj)
        return {
            "frame": "portal/manage/base.html" if manages(self.actor) else "portal/plain.html",
            "own": user.pk == self.actor.user_id,
            "person": user,
            "active": found.active,
            "object": obj,
            "on": on if obj is not None else "",
            "object_word": KIND_WORDS.get(kind, kind),
            "object_url": page_of(kind, object_id) if obj is not None and manages(self.actor) else "",
            "choices": self._choices(),
            "sections": sections(found.answers),
            "quotas": _quotas(found),
            "pools": [str(pool) for pool in (*found.pools, *found.meta_pools)],
            "desktops": [
                {"name": vm.title or vm.name, "url": reverse("portal:vm", args=[vm.pk])} for vm in found.desktops
            ],
            **self.back(user),
        }

    def back(self, user: User) -> dict[str, str]:
        return {"back_url": reverse("portal:user", args=[user.pk]), "back_label": str(user)}

    def _choices(self) -> list[dict[str, Any]]:
        """The objects that can be asked about, by kind: those the reader sees."""
        groups = []
        for kind in GRANTABLE:
            rows = visible_to(self.actor, KINDS.get(kind).model)[:MOST_OFFERED]
            if options := [(f"{kind}:{row.pk}", str(row)) for row in rows]:
                groups.append({"label": KIND_WORDS[kind], "options": options})
        return groups


class MyRights(RightsOf):
    def content(self) -> dict[str, Any]:  # type: ignore[override]
        return super().content(self.actor.user_id)

    def back(self, user: User) -> dict[str, str]:
        return {"back_url": reverse("portal:home"), "back_label": _("My desktops")}


def _quotas(found: Rights) -> list[dict[str, Any]]:
    return [
        {"whose": whose(limit.quota), "mark": MODES[limit.quota.mode], "bars": bars(limit.quota, limit.uses, {})}
        for limit in found.quotas
    ]
