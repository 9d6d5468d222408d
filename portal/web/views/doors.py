"""In and out: the sign-in page, signing out, and what is shown when the server itself fails."""

from typing import Any

from django.conf import settings
from django.contrib.auth import login
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView, LogoutView
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template import loader

from broker.access.actor import Actor
from broker.core.errors import BerthError
from portal.web import sign_ins  # noqa: F401 - its receivers write down who came and went
from portal.web.parts import error_sentences
from portal.web.straight import straight_way


class SignIn(LoginView):
    """Whoever has exactly one desktop goes straight to its screen; others go to the page they wanted."""

    template_name = "portal/sign_in.html"
    redirect_authenticated_user = True
    next_page = "/"

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        user = form.get_user()
        login(self.request, user)
        wanted = self.get_redirect_url()
        if wanted and wanted != settings.LOGIN_REDIRECT_URL:
            return HttpResponseRedirect(wanted)
        self.request.actor = Actor.of(self.request)  # type: ignore[attr-defined]
        return HttpResponseRedirect(straight_way(self.request, self.request.actor))  # type: ignore[attr-defined]

    def form_invalid(self, form: AuthenticationForm) -> HttpResponse:
        return self.render_to_response(self.get_context_data(form=form), status=400)

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            return super().post(request, *args, **kwargs)
        except BerthError as error:
            # A fresh form: asking this one for its errors would ask the directory again.
            context = self.get_context_data(form=self.get_form_class()(request), down=error_sentences(error))
            return self.render_to_response(context, status=error.status)


class SignOut(LogoutView):
    """POST only, as Django has it; open consoles end with the sign-in."""

    next_page = settings.LOGIN_URL


def server_error(request: HttpRequest) -> HttpResponse:
    """handler500: with the request's reference, but without context processors, which may be what failed."""
    return HttpResponse(loader.get_template("500.html").render({"request": request}), status=500)
