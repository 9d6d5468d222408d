"""One's own account: a new password that needs the old one, and tokens that are shown once."""

import pytest
from django.contrib.auth import authenticate
from django.test import Client
from django.urls import reverse

from broker.directories.models import Directory, User
from portal.models import ApiToken
from tests.world import PASSWORD

pytestmark = pytest.mark.django_db
NEW = "another horse entirely"
PAGE = "/account/"


@pytest.fixture
def alice(site):
    site.world.alice.set_password(PASSWORD)  # by the hasher of these tests
    site.world.alice.save()
    return site.client("alice")


def set_it(client, current=PASSWORD, password=NEW, again=NEW):
    return client.post(reverse("portal:own-password"), {"current": current, "password": password, "again": again})


def test_a_new_password_needs_the_old_one_and_keeps_who_sits_here_signed_in(site, alice):
    other = site.client("alice")
    User.objects.get(username="alice")
    other.force_login(User.objects.get(username="alice"))
    assert set_it(alice, current="wrong").status_code == 400
    assert set_it(alice, again="something else").status_code == 400
    assert set_it(alice, password="short", again="short").status_code == 400
    assert authenticate(None, username="alice", password=PASSWORD)
    told = set_it(alice)
    assert told.status_code == 302
    assert authenticate(None, username="alice", password=NEW) and not authenticate(
        None, username="alice", password=PASSWORD
    )
    assert alice.get(PAGE).status_code == 200
    assert other.get(PAGE).status_code == 302, "other sign-ins end with the old password"


def test_guessing_is_slowed_down_as_at_the_door(alice):
    answers = [set_it(alice, current=f"wrong {number}") for number in range(8)]
    assert "too many" in answers[-1].content.decode().lower()


def test_who_is_kept_elsewhere_changes_it_there(site, alice):
    Directory.objects.filter(pk=site.world.alice.directory_id).update(kind="ldap")
    page = alice.get(PAGE).content.decode()
    assert "it is changed there" in page and 'name="current"' not in page


def test_a_token_is_shown_once_works_and_is_revoked(site, alice):
    made = alice.post(reverse("portal:token-new"), {"name": "backup script", "days": 30, "may": "everything"})
    page = made.content.decode()
    secret = page.split('id="secret">')[1].split("<")[0]
    assert made["Cache-Control"] == "no-store"
    assert secret not in alice.get(PAGE).content.decode() and "backup script" in alice.get(PAGE).content.decode()
    script = Client(headers={"Authorization": f"Bearer {secret}"})
    assert script.get("/api/v1/pools/").status_code == 200
    token = ApiToken.objects.get(user=site.world.alice)
    revoke = reverse("portal:token-revoke", args=[token.pk])
    site.client("charlie").post(revoke)
    assert ApiToken.objects.filter(pk=token.pk).exists(), "not somebody else's"
    assert alice.post(revoke).status_code == 302
    assert script.get("/api/v1/pools/").status_code == 401
    assert alice.post(reverse("portal:token-new"), {"name": "", "days": 9999}).status_code == 400


def make_token(client, **sent):
    return client.post(reverse("portal:token-new"), {"name": "narrow", "days": 30, "may": "everything", **sent})


def test_a_token_is_narrowed_on_the_page_and_told_of_in_a_sentence(site, alice):
    vm = site.machine("mine")
    site.world.grant(site.world.alice, "vm-user", vm)
    site.world.grant(site.world.alice, "cluster-admin", site.world.cluster)
    page = alice.get(PAGE).content.decode()
    assert f"cluster:{site.world.cluster.pk}" in page and 'value="vm.power"' in page and "account.manage" in page
    assert 'value="system.manage"' not in page, "only rights that she has are offered"
    sent = {"may": "some", "verbs": ["vm.power"], "machines": "mine", "networks": "10.0.0.0/8, 192.0.2.1"}
    page = make_token(alice, **sent).content.decode()
    row = ApiToken.objects.get(name="narrow")
    assert row.scope == {
        "read_only": False, "verbs": ["job.view", "vm.power", "vm.view"], "objects": [["vm", str(vm.pk)]]
    }  # fmt: skip
    assert row.networks == ["10.0.0.0/8", "192.0.2.1/32"]
    assert "Only job.view, vm.power, vm.view, on machine mine, from 10.0.0.0/8, 192.0.2.1/32" in page
    assert "never" in page, "it was not used yet"
    make_token(alice, name="reads", may="reading", places=[f"cluster:{site.world.cluster.pk}"])
    page = make_token(alice, name="all", may="everything").content.decode()
    assert f"Only reads, on cluster {site.world.cluster}" in page and "All rights of its person" in page


@pytest.mark.parametrize(
    "sent, told",
    [
        ({"machines": "not-hers"}, "There is no machine not-hers"),
        ({"may": "some"}, "A token has 1 to"),
        ({"networks": "10.0.0.1/8"}, "is no network"),
        ({"may": "some", "verbs": ["system.manage"]}, "Select a valid choice"),
        ({"places": ["cluster:" + "0" * 32]}, "Select a valid choice"),
    ],
)
def test_what_cannot_be_is_said_in_the_form_and_nothing_is_made(site, alice, sent, told):
    site.machine("not-hers")
    answer = make_token(alice, **sent)
    assert answer.status_code == 400 and told in answer.content.decode()
    assert not ApiToken.objects.exists()
