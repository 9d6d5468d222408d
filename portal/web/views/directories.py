"""Where users come from: the list in the order they are asked, the page of one, its form, and what it would yield."""

from typing import Any

from django.db.models import Count
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _

from broker.access.require import find, may, require, visible_to
from broker.core.errors import BerthError, Missing
from broker.core.text import gettext_noop as N_
from broker.directories.actions.create_directory import create_directory
from broker.directories.actions.delete_directory import delete_directory
from broker.directories.actions.edit_directory import edit_directory
from broker.directories.actions.preview_directory import preview_directory
from broker.directories.actions.sync_directory import sync_directory
from broker.directories.models import Directory, Group
from portal.directory_preview import told
from portal.web.base import Deed, Page, SignedIn, done, is_htmx, refuse
from portal.web.directory_forms import FORMS, AskedForm, DirectoryForm
from portal.web.directory_page import (
    details_of,
    directory_actions,
    directory_mark,
    earlier,
    groups_in,
    kind_name,
    notices_of,
)
from portal.web.parts import recent_events, stored_sentences


def counted() -> Any:
    """With how many users and groups come from each."""
    return Directory.objects.annotate(
        user_count=Count("users", distinct=True), group_count=Count("groups", distinct=True)
    )


class Directories(Page):
    template = "portal/manage/directories.html"

    def content(self) -> dict[str, Any]:
        rows = list(visible_to(self.actor, counted()))
        manageable = may(self.actor, "system.manage")
        return {
            "title": _("Directories"),
            "manageable": manageable,
            "rows": [
                {
                    "id": row.pk,
                    "name": row.name,
                    "url": reverse("portal:directory", args=[row.pk]),
                    "kind": kind_name(row),
                    "mark": directory_mark(row),
                    "error": stored_sentences(row.sync_error)[0],
                    "users": row.user_count,
                    "groups": row.group_count,
                    "synced_at": row.synced_at,
                    "earlier": earlier(row) if manageable and number else None,
                }
                for number, row in enumerate(rows)
            ],
        }


class DirectoryOne(Page):
    template = "portal/manage/detail.html"

    def content(self, pk: Any) -> dict[str, Any]:
        find(self.actor, Directory, pk)
        row = counted().get(pk=pk)
        groups = visible_to(self.actor, Group).filter(directory=row)
        return {
            "title": row.name,
            "mark": directory_mark(row),
            "under": kind_name(row),
            "actions": directory_actions(row) if may(self.actor, "system.manage") else [],
            "back_url": reverse("portal:directories"),
            "back_label": _("Directories"),
            "live_kinds": f"directory:{row.pk}",
            "notices": notices_of(row),
            "details": details_of(row),
            "relateds": [groups_in(groups)],
            "events": recent_events("directory", row.pk),
        }


class FormOfDirectory(SignedIn):
    """The form; the button "Preview" asks the directory, writes nothing, and leaves what was typed where it is."""

    directory: Directory | None = None
    kind = ""

    def get(self, request: HttpRequest, **where: Any) -> HttpResponse:
        self._found(**where)
        return self._show(FORMS[self.kind](actor=self.actor, directory=self.directory))

    def post(self, request: HttpRequest, **where: Any) -> HttpResponse:
        self._found(**where)
        form = FORMS[self.kind](request.POST, request.FILES, actor=self.actor, directory=self.directory)
        preview = "preview" in request.POST
        if form.is_valid():
            try:
                if preview and isinstance(form, AskedForm):
                    return self._previewed(form)
                return HttpResponseRedirect(reverse("portal:directory", args=[self._saved(form).pk]))
            except BerthError as error:
                refuse(request, form, error)
        # htmx leaves the page as it is for an answer that says "refused", and there is something to show.
        return self._fragment(form) if preview and is_htmx(request) else self._show(form, status=400)

    def _found(self, pk: Any = None, kind: str = "") -> None:
        self.directory = find(self.actor, Directory, pk) if pk else None
        require(self.actor, "system.manage")
        self.kind = self.directory.kind if self.directory else kind
        if self.kind not in FORMS:
            raise Missing(N_("There is no form for this kind of directory."), fix=N_("Use the API."))

    def _saved(self, form: DirectoryForm) -> Directory:
        values = form.values()
        if self.directory is not None:
            return edit_directory(actor=self.actor, directory=self.directory, **values)
        for secret, nothing in (("password", ""), ("keytab", b"")):
            if values.get(secret, nothing) is None:
                values[secret] = nothing
        return create_directory(actor=self.actor, kind=self.kind, **values)

    def _previewed(self, form: AskedForm) -> HttpResponse:
        answer = preview_directory(
            actor=self.actor,
            kind=self.kind,
            directory=self.directory,
            username=form.cleaned_data.get("try_user", ""),
            **form.secrets(),
            config=form.config(),
        )
        preview = told(answer, self.directory)
        return self._fragment(form, preview) if is_htmx(self.request) else self._show(form, preview=preview)

    def _fragment(self, form: DirectoryForm, preview: Any = None) -> HttpResponse:
        context = {"preview": preview, "form": form}
        return render(self.request, "portal/partials/directory_preview.html", context)

    def _show(self, form: DirectoryForm, status: int = 200, preview: Any = None) -> HttpResponse:
        row = self.directory
        context = {
            "form": form,
            "sections": form.laid_out(),
            "preview": preview,
            "title": _("Edit %(name)s") % {"name": row.name} if row else _("New directory"),
            "under": _("The preview asks the directory and changes nothing."),
            "submit": _("Save") if row else _("Add the directory"),
            "back_url": reverse("portal:directory", args=[row.pk]) if row else reverse("portal:directories"),
            "back_label": row.name if row else _("Directories"),
        }
        return render(self.request, "portal/manage/directory_form.html", context, status=status)


class DirectoryDeed(Deed):
    """Read anew, take over what was held back, switch on and off, ask earlier."""

    def do(self, pk: Any, verb: str) -> HttpResponse:
        row = find(self.actor, Directory, pk)
        if verb == "sync":
            sync_directory(actor=self.actor, directory=row)
            return done(self.request, _("The directory is being read."))
        if verb == "accept":
            sync_directory(actor=self.actor, directory=row, accept_removals=True)
            return done(self.request, _("The directory is being read; what is gone there goes here."))
        if verb in ("enable", "disable"):
            edit_directory(actor=self.actor, directory=row, enabled=verb == "enable")
            return done(self.request, _("Its people may sign in again.") if verb == "enable" else _("Switched off."))
        if verb == "earlier":
            self._earlier(row)
            return done(self.request, _("%(name)s is asked earlier now.") % {"name": row.name})
        raise Missing(N_("There is no such action."), fix=N_("Go back and choose another."))

    def _earlier(self, row: Directory) -> None:
        """Number them anew, with this one before the one that was before it."""
        rows = list(Directory.objects.all())
        place = next(number for number, one in enumerate(rows) if one.pk == row.pk)
        if place:
            rows[place - 1], rows[place] = rows[place], rows[place - 1]
        for number, one in enumerate(rows, 1):
            edit_directory(actor=self.actor, directory=one, order=10 * number)


class DeleteDirectory(Deed):
    def do(self, pk: Any) -> HttpResponse:
        delete_directory(actor=self.actor, directory=find(self.actor, Directory, pk))
        return done(self.request, _("The directory was removed."), to=reverse("portal:directories"), leave=True)
