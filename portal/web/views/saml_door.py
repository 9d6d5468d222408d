"""What SAML needs beside the way there and back: where answers are posted to, and what Berth says of itself."""

from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.utils.http import urlencode
from django.views import View
from django.views.decorators.csrf import csrf_exempt

from broker.core.errors import BerthError, Missing
from broker.core.text import gettext_noop as N_
from broker.directories.kinds import KINDS
from broker.directories.models import Directory
from portal.web.providers import back_addresses, entity_id
from portal.web.views.provider_door import Door, tell


@method_decorator(csrf_exempt, name="dispatch")
class Receive(Door):
    """The provider's page posts here, from another site and so without our cookies: nobody is signed in by it.

    What it says is checked and kept, and the browser is led to the way back, where it brings its session along. What
    else is posted (RelayState) is not looked at: where to go then is in the session of who asked.
    """

    http_method_names = ["post"]

    def post(self, request: HttpRequest, pk: Any) -> HttpResponse:
        return self.answer(request, pk)

    def lead(self, directory: Directory) -> HttpResponse:
        if directory.kind != "saml":
            raise Missing(N_("There is no such way to sign in."), fix=N_("Choose one that is on this page."))
        kind: Any = KINDS.get("saml")
        posted = self.request.POST.get("SAMLResponse", "")
        try:
            found = kind.receive(directory, posted, back_addresses(directory), entity_id(directory))
        except BerthError as error:
            if error.status < 500:
                tell(self.request, directory, error)
            raise
        way = reverse("portal:provider-back", args=[directory.pk])
        response = HttpResponseRedirect(f"{way}?{urlencode(found)}")
        response.status_code = 303  # what was posted is not posted again
        return response


class Metadata(View):
    """What providers read about Berth: it is for everybody, and says nothing that signing in does not show."""

    def get(self, request: HttpRequest, pk: Any) -> HttpResponse:
        directory = Directory.objects.filter(pk=pk, kind="saml").first()
        if directory is None:
            raise Missing(N_("There is no such directory."), fix=N_("Look at the address again."))
        kind: Any = KINDS.get("saml")
        text = kind.metadata(directory, back_addresses(directory), entity_id(directory))
        return HttpResponse(text, content_type="application/samlmetadata+xml")
