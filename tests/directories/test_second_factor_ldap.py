"""People of a real LDAP directory sign in with a second factor as local ones do."""

from django.test import Client
from django.urls import reverse

from broker.directories.models import User
from tests.directories.codes import set_up, stopped_clock  # noqa: F401 - a fixture
from tests.servers.slapd import PEOPLE

PASSWORD = "secret of theirs"


def enter(name: str) -> tuple[Client, str]:
    client = Client()
    return client, client.post(reverse("portal:sign-in"), {"username": name, "password": PASSWORD}).url


def test_somebody_of_a_directory_is_asked_for_the_code_also_when_renamed(slapd, make_directory, at):
    directory = make_directory()
    slapd.person("erin")
    client, where = enter("erin")
    assert where == "/" and client.get("/").status_code == 200
    erin = User.objects.get(username="erin")
    phone, _codes = set_up(erin)
    assert client.get("/").status_code == 302, "sign-ins without it have ended"
    slapd.root.rename_s(f"uid=erin,{PEOPLE}", "uid=erika")
    client, where = enter("erika")
    assert where == reverse("portal:sign-in-code") and client.get("/").status_code == 302
    assert client.post(where, {"code": phone.code(1)}).url == "/" and client.get("/").status_code == 200
    assert User.objects.get(pk=erin.pk).username == "erika"

    slapd.person("frank")
    directory.second_factor = True
    directory.save()
    assert enter("frank")[1] == reverse("portal:sign-in-set-up")
