"""A page that is a form for something new: what the action refuses is shown at its field."""

from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import render

from broker.access.require import require
from broker.core.errors import BerthError
from portal.context import holds

from .base import SignedIn, refuse
from .forms import StyledForm


class FormPage(SignedIn):
    """`verb`: who holds it nowhere is refused at the door, before a form without choices puzzles them.

    A form about one object leaves `verb` empty and finds the object with the right it takes.
    """

    verb = ""
    template = "portal/manage/form.html"

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if self.verb and request.user.is_authenticated and not holds(self.actor, self.verb):
            require(self.actor, self.verb)
        return super().dispatch(request, *args, **kwargs)

    def get(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        return self._show(self.form(None, **kwargs), **kwargs)

    def post(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        form = self.form(request.POST, **kwargs)
        if form.is_valid():
            try:
                return HttpResponseRedirect(self.make(form.cleaned_data, **kwargs))
            except BerthError as error:
                refuse(request, form, error)
        return self._show(form, status=400, **kwargs)

    def form(self, data: Any, *args: Any, **kwargs: Any) -> StyledForm:
        """The form; `data` is what was sent, None at first."""
        raise NotImplementedError

    def make(self, values: dict[str, Any], *args: Any, **kwargs: Any) -> str:
        """Call the action with the form's values; returns the address to go to. Its BerthErrors are shown."""
        raise NotImplementedError

    def words(self, *args: Any, **kwargs: Any) -> Mapping[str, Any]:
        """The template's title, under, submit, back_url and back_label."""
        raise NotImplementedError

    def _show(self, form: StyledForm, status: int = 200, **kwargs: Any) -> HttpResponse:
        return render(self.request, self.template, {"form": form, **self.words(**kwargs)}, status=status)
