"""Pages in German: all of it is, whoever reads it chose it or their browser did, and the choice goes along."""

import gettext
from html.parser import HTMLParser

import pytest
from django.conf import settings as site_settings
from django.test import Client
from django.urls import reverse
from django.utils import translation
from django.utils.translation import ngettext

from broker.access.actor import Actor
from broker.core.errors import Conflict
from broker.core.text import gettext_noop as N_
from broker.directories.languages import language_of
from broker.directories.models import User
from broker.events.models import Event
from broker.events.record import record
from broker.jobs.models import Job
from broker.jobs.plans import PLANS
from portal.back_office_names import NAMES
from portal.templatetags.berth import bytesize, plural

from .test_access import FORMS, LISTS, pages_of

GERMAN = {"Accept-Language": "de-AT,de;q=0.9,en;q=0.5"}
NO_WORDS = ("script", "style", "code")
SHOWN = ("aria-label", "placeholder", "title", "alt", "data-copied", "data-confirm")


@pytest.fixture(autouse=True)
def _english_again():
    """A request leaves its language set in the thread."""
    yield
    translation.activate("en")


def english() -> set[str]:
    """Messages that are another text in German."""
    with (site_settings.LOCALE_PATHS[0] / "de" / "LC_MESSAGES" / "django.mo").open("rb") as file:
        catalogue = gettext.GNUTranslations(file)._catalog  # type: ignore[attr-defined]
    return {said for said, text in catalogue.items() if isinstance(said, str) and len(said) > 1 and said != text}


class Texts(HTMLParser):
    """What a page shows or has read aloud, piece by piece."""

    def __init__(self):
        super().__init__()
        self.found, self._skipped = [], 0

    def handle_starttag(self, tag, attrs):
        self._skipped += tag in NO_WORDS
        self.found += [value or "" for name, value in attrs if name in SHOWN]

    def handle_endtag(self, tag):
        self._skipped -= tag in NO_WORDS

    def handle_data(self, data):
        if not self._skipped:
            self.found.append(data)


def texts_of(page: str) -> set[str]:
    reader = Texts()
    reader.feed(page)
    return {" ".join(text.split()) for text in reader.found}


def test_every_page_is_german_for_who_reads_german(site):
    # Names of tables, which are such of things in the tests' world too, are for the back office.
    client, foreign = site.client("root"), english() - NAMES
    addresses = [reverse(f"portal:{name}") for name in LISTS + FORMS]
    addresses += [reverse(f"portal:{name}", args=[pk]) for name, pk in pages_of(site).items()]
    left = {}
    for address in addresses:
        response = client.get(address, headers=GERMAN)
        text = response.content.decode()
        assert response.status_code == 200 and '<html lang="de">' in text, address
        if found := texts_of(text) & foreign:
            left[address] = found
    assert left == {}


def test_nothing_of_a_chosen_language_is_left_in_the_page_of_who_chose_none(site):
    """The parts of a page that are the same for everybody are kept for each language."""
    address = reverse("portal:sign-in")
    for language, said in (("de", "Bei Berth anmelden"), ("en", "Sign in to Berth"), ("de", "Bei Berth anmelden")):
        response = Client().get(address, headers={"Accept-Language": language})
        assert said in response.content.decode()
        assert response["Content-Language"] == language and "Accept-Language" in response["Vary"]
    for language in ("fr", "de-tlh, fr", "*", "x" * 5000, "\x00"):
        assert b"<html lang=" in Client().get(address, headers={"Accept-Language": language}).content


def choose(client: Client, code: str, **more):
    return client.post(reverse("set_language"), {"language": code, "next": reverse("portal:account")}, **more)


def test_a_choice_wins_over_the_browser_and_goes_along_to_the_next_one(site):
    client = site.client("alice")
    assert choose(client, "de").url == reverse("portal:account")
    assert '<html lang="de">' in client.get("/", headers={"Accept-Language": "en"}).content.decode()
    alice = User.objects.get(username="alice")
    assert language_of(alice) == "de"
    alice.set_password("correct horse battery")
    alice.save()
    elsewhere = Client()
    said = {"username": "alice", "password": "correct horse battery"}
    response = elsewhere.post(reverse("portal:sign-in"), said, headers={"Accept-Language": "en"})
    assert response.status_code == 302 and elsewhere.cookies[site_settings.LANGUAGE_COOKIE_NAME].value == "de"
    assert '<html lang="de">' in elsewhere.get("/", headers={"Accept-Language": "en"}).content.decode()
    choose(elsewhere, "en")
    assert '<html lang="en">' in elsewhere.get("/", headers=GERMAN).content.decode()
    assert language_of(User.objects.get(username="alice")) == "en"


def test_at_the_door_the_choice_is_the_browsers(site):
    client = Client()
    page = client.get(reverse("portal:sign-in")).content.decode()
    assert 'value="de" lang="de">Deutsch</button>' in page and 'lang="en" aria-current="true">English</button>' in page
    choose(client, "de")
    assert "Bei Berth anmelden" in client.get(reverse("portal:sign-in")).content.decode()
    assert not any(user.preferences for user in User.objects.all())


@pytest.mark.parametrize("code", ["fr", "", "../../etc", "de" * 500, "\x00"])
def test_what_is_not_shipped_changes_nothing(site, code):
    client = site.client("alice")
    assert choose(client, code).status_code == 302
    assert '<html lang="en">' in client.get("/").content.decode()
    assert User.objects.get(username="alice").preferences == {}


def test_a_choice_leads_nowhere_else_and_needs_the_pages_own_form(site):
    client = site.client("alice")
    sent = {"language": "de", "next": "https://elsewhere.example/"}
    assert client.post(reverse("set_language"), sent).url == "/"
    assert client.get(reverse("set_language"), {"language": "de"}).status_code == 302
    strict = Client(enforce_csrf_checks=True)
    assert strict.post(reverse("set_language"), {"language": "de"}).status_code == 403


def test_a_refusal_is_in_the_callers_language_and_the_event_of_it_in_english(site):
    client, address = site.client("bob"), f"/api/v1/vms/{site.server.pk}/start/"
    said = {}
    for language in ("de", "en"):
        answer = client.post(address, content_type="application/json", headers={"Accept-Language": language})
        assert answer.status_code == 404
        said[language] = answer.json()
    german, plain = said["de"], said["en"]
    assert german["code"] == plain["code"] and german["rule"] == plain["rule"]
    assert german["detail"] == "Ein solches Objekt gibt es nicht." and plain["detail"] == "There is no such object."
    first, second = Event.objects.filter(kind="api.refused").order_by("position")
    assert first.params["cause"] == second.params["cause"] == "There is no such object."
    with translation.override("de"):
        assert "wurde abgelehnt" in first.message


def test_causes_and_jobs_in_events_are_told_in_the_readers_language_and_kept_in_english(site):
    title = PLANS.get("vm.start").title
    refusal = Conflict(N_("%(name)s is %(state)s."), name="50 % off", state="off")
    told = {"job": title, "subject_name": "lab", "message": N_("%(job)s %(subject_name)s failed: %(cause)s")}
    told |= {"actor": Actor.system("test"), "subject": site.granted}
    made = record("job.failed", cause=refusal.message, explanation=refusal.as_dict(), **told)
    plain = record("job.failed", cause="There is no such object.", **told)
    events = [Event.objects.get(pk=one.pk) for one in (made, plain)]
    kept = [(one.params, one.explanation) for one in events]
    assert events[0].message == f"{title} lab failed: 50 % off is off."
    with translation.override("de"):
        german = translation.gettext(title)
        assert german != title
        assert [one.message for one in events] == [
            f"{german} lab ist fehlgeschlagen: 50 % off ist off.",
            f"{german} lab ist fehlgeschlagen: Ein solches Objekt gibt es nicht.",
        ]
    assert [(one.params, one.explanation) for one in events] == kept and kept[0][0]["job"] == title
    pages = (reverse("portal:events"), reverse("admin:events_event_changelist"))
    for address in pages:
        page = site.client("root").get(address, headers=GERMAN).content.decode()
        assert "Ein solches Objekt gibt es nicht." in page and "There is no such object." not in page, address
        assert f"{german} lab" in page and f"{title} lab" not in page, address
    Job.objects.filter(pk=site.job.pk).update(plan="vm.start", title=title)
    for address in (reverse("admin:jobs_job_changelist"), reverse("portal:jobs")):
        texts = texts_of(site.client("root").get(address, headers=GERMAN).content.decode())
        assert german in texts and title not in texts, address


def test_numbers_and_plurals_follow_the_language(site):
    with translation.override("de"):
        assert [plural(count, "machine") for count in (0, 1, 2)] == ["0 Maschinen", "1 Maschine", "2 Maschinen"]
        assert ngettext("%(count)d person waits.", "%(count)d people wait.", 1) % {"count": 1} == "1 Person wartet."
        assert bytesize(1610612736) == "1,5 GiB"
    with translation.override("en"):
        assert plural(1, "machine") == "1 machine" and bytesize(1610612736) == "1.5 GiB"


def test_the_back_office_is_german_down_to_its_tables(site):
    client = site.client("root")
    page = client.get(reverse("admin:index"), headers=GERMAN).content.decode()
    assert '<html lang="de"' in page and "Belegte Desktops" in page and "All applications" not in page
    machines = client.get(reverse("admin:virt_virtualmachine_changelist"), headers=GERMAN).content.decode()
    assert "Virtuelle Maschine" in machines and "Virtual machine" not in machines
    assert 'value="de"' in machines, "there is no choice of the language"
    with translation.override("en"):
        assert str(site.desktop._meta.verbose_name) == "virtual machine"


def test_every_table_of_the_back_office_has_a_german_name():
    from portal.admin import site as back_office

    known = english() | {"cluster", "host", "pool", "snapshot", "desktop", "rollout", "tag"}
    with translation.override("en"):
        names = {str(model._meta.verbose_name) for model in back_office._registry}
    assert {name for name in names if name not in known} == set()
