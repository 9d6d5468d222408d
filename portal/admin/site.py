"""The admin's site: signs in through the portal, tells refusals instead of failing, relaxes the CSP for itself."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.views import PasswordChangeView, redirect_to_login
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from unfold.forms import AdminOwnPasswordChangeForm
from unfold.sites import UnfoldAdminSite

from broker.access.actor import Actor
from broker.core.errors import BerthError
from broker.directories.actions.set_password import set_password
from broker.directories.throttle import begin
from portal.middleware import sentence
from portal.refusals import READING, note_refusal

# unfold's Alpine evaluates expressions in attributes; the portal's own pages stay strict.
RELAXED = {"script-src": ["'unsafe-eval'", "'unsafe-inline'"], "style-src": ["'unsafe-inline'"]}

View = Callable[..., HttpResponse]


class OwnPassword(AdminOwnPasswordChangeForm):
    """One's own password, set by the action. Guessing the old one at somebody's open browser is throttled too."""

    def clean_old_password(self) -> Any:
        attempt = begin(self.user.get_username(), None, f"signed in as {self.user.pk}")
        try:
            given = super().clean_old_password()
        except ValidationError:
            attempt.failed()
            raise
        attempt.succeeded()
        return given

    def save(self, commit: bool = True) -> Any:
        return set_password(
            actor=Actor.for_user(self.user), user=self.user, password=self.cleaned_data["new_password1"]
        )


class Site(UnfoldAdminSite):
    index_template = "back_office/dashboard.html"

    def admin_view(self, view: View, cacheable: bool = False) -> View:
        inner = super().admin_view(view, cacheable)

        @wraps(view)
        def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            response: HttpResponse
            try:
                response = inner(request, *args, **kwargs)
            except BerthError as error:
                if request.method in READING:
                    raise
                refused(request, error)
                response = HttpResponseRedirect(_back(request))
            response._csp_update = RELAXED  # type: ignore[attr-defined]
            return response

        return wrapped

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The portal's sign-in; who is signed in already and may not be here is told so."""
        if request.user.is_authenticated and not self.has_permission(request):
            raise PermissionDenied
        wanted = request.GET.get("next", "")
        if not url_has_allowed_host_and_scheme(wanted, {request.get_host()}, request.is_secure()):
            wanted = reverse(f"{self.name}:index")
        return redirect_to_login(wanted, settings.LOGIN_URL)

    def logout(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        from portal.web.views.doors import SignOut

        answer: HttpResponse = SignOut.as_view()(request)
        return answer

    def password_change(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        request.current_app = self.name  # type: ignore[attr-defined]
        view = PasswordChangeView.as_view(
            form_class=OwnPassword,
            template_name="registration/password_change_form.html",
            success_url=reverse(f"{self.name}:password_change_done"),
            extra_context={**self.each_context(request), **(extra_context or {})},
        )
        answer: HttpResponse = view(request)  # type: ignore[assignment]  # this view never streams
        return answer


def refused(request: HttpRequest, error: BerthError, name: str = "") -> None:
    """Tell the administrator, and write it down, that something was not done."""
    cause, fix = sentence(error.template, error.params), sentence(error.fix_template, error.params)
    messages.error(request, f"{name}: {cause} {fix}" if name else f"{cause} {fix}")
    note_refusal(
        request,
        request.actor,  # type: ignore[attr-defined]
        kind="admin.refused",
        status=error.status,
        code=error.code,
        cause=error.message,
    )


def _back(request: HttpRequest) -> str:
    before = request.headers.get("Referer", "")
    if url_has_allowed_host_and_scheme(before, {request.get_host()}, request.is_secure()):
        return before
    return request.path


site = Site(name="admin")
