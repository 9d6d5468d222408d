"""Directories on the pages and in the API: added with a preview, put in order, read anew; their secrets stay inside."""

import statistics
import time
from collections import Counter

import ldap
import pytest
from django.contrib.auth import authenticate
from django.contrib.auth.hashers import get_hasher
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from broker.directories.actions.preview_directory import preview_directory
from broker.directories.models import Directory, Group, Membership, TryCount, User
from broker.directories.secret import opened
from broker.events.models import Event
from pools.models import Desktop
from tests.portal.web.conftest import build
from tests.servers.slapd import READER_PASSWORD
from tests.world import PASSWORD

NOWHERE = {"servers": "ldaps://127.0.0.1:1", "flavour": "openldap", "user_base": "dc=example,dc=org"}
USUAL = {"order": "50", "enabled": "on", "full_sync_minutes": "30", "nested": "on", "start_tls": "on"}
HTMX = {"HX-Request": "true"}


@pytest.fixture
def root(world):
    client = Client()
    client.force_login(world.root)
    return client


def typed(slapd, **more) -> dict[str, str]:
    """What somebody types to add the test's slapd."""
    config = slapd.config()
    return {
        **USUAL, "name": "Site", "flavour": "openldap", "servers": config["servers"][0],
        "ca": config["ca"].replace("\n", "\r\n"), "bind_dn": config["bind_dn"],
        "password": READER_PASSWORD, "user_base": config["user_base"],
        "group_base": config["group_base"], **more,
    }  # fmt: skip


def page(name: str, *args) -> str:
    return reverse(f"portal:{name}", args=args)


class TestTheForm:
    def test_a_directory_is_added_and_its_password_never_comes_back(self, root, slapd):
        made = root.post(page("directory-new", "ldap"), typed(slapd))
        row = Directory.objects.get(name="Site")
        assert made.url == page("directory", row.pk)
        assert opened(row) == READER_PASSWORD
        addresses = [page("directory", row.pk), page("directory-edit", row.pk), page("directories")]
        addresses += ["/api/v1/directories/", f"/api/v1/directories/{row.pk}/"]
        addresses.append(reverse("admin:directories_directory_change", args=[row.pk]))
        for address in addresses:
            text = root.get(address).content.decode()
            assert "Site" in text
            assert READER_PASSWORD not in text
            assert row.secret not in text
        assert READER_PASSWORD not in str([list(Event.objects.values()), list(Directory.objects.values())])

    def test_an_empty_password_keeps_the_stored_one_as_long_as_the_servers_stay(self, root, slapd):
        root.post(page("directory-new", "ldap"), typed(slapd))
        row = Directory.objects.get(name="Site")
        changed = root.post(page("directory-edit", row.pk), typed(slapd, name="Renamed", password=""))
        assert changed.status_code == 302
        row.refresh_from_db()
        assert row.name == "Renamed"
        assert opened(row) == READER_PASSWORD
        elsewhere = typed(slapd, servers="ldaps://evil.example.org", password="")
        for extra in ({}, {"preview": "1"}):
            answer = root.post(page("directory-edit", row.pk), {**elsewhere, **extra})
            assert answer.status_code == 400
            assert "id_password_error" in answer.content.decode()
        forgotten = root.post(page("directory-edit", row.pk), typed(slapd, password="", forget_password="on"))
        assert forgotten.status_code == 302
        row.refresh_from_db()
        assert opened(row) == ""

    def test_what_is_usual_is_not_shown_as_if_it_had_been_typed(self, root, slapd):
        root.post(page("directory-new", "ldap"), typed(slapd))
        form = root.get(page("directory-edit", Directory.objects.get(name="Site").pk)).context["form"]
        assert form["servers"].value() == slapd.tls_url
        assert not form["user_filter"].value()
        assert not form["login_attributes"].value()

    @pytest.mark.parametrize(
        ("field", "value"),
        [("servers", "http://x"), ("user_base", "no dn"), ("user_filter", "(uid=*"), ("ca", "-----BEGIN"),
         ("name", "Local"), ("order", "-1"), ("servers", ""), ("id_attribute", "a b"), ("bind_dn", "x\0y")],
    )  # fmt: skip
    def test_mistakes_are_told_at_their_field_and_nothing_is_written(self, root, slapd, field, value):
        for extra in ({}, {"preview": "1"}):
            answer = root.post(page("directory-new", "ldap"), typed(slapd, **{field: value}, **extra))
            assert answer.status_code in ({400, 200} if extra and field == "name" else {400})
        assert Directory.objects.count() == 1

    def test_another_local_directory_has_no_preview(self, root):
        form = page("directory-new", "local")
        assert 'name="preview"' not in root.get(form).content.decode()
        assert root.post(form, {"name": "Guests", "order": "200", "enabled": "on"}).status_code == 302
        assert Directory.objects.get(name="Guests").kind == "local"
        assert root.get(page("directory-new", "nis")).status_code == 404


class TestThePreview:
    def test_it_tells_whom_it_finds_and_writes_nothing(self, root, slapd):
        slapd.group("finance", slapd.person("erin"))
        slapd.person("frank")
        users = User.objects.count()
        answer = root.post(page("directory-new", "ldap"), typed(slapd, preview="1", try_user="erin"), headers=HTMX)
        text = answer.content.decode()
        assert answer.status_code == 200
        assert "<html" not in text
        assert all(word in text for word in (slapd.tls_url, "erin", "frank", "finance", "erin@example.org"))
        assert READER_PASSWORD not in text
        assert (User.objects.count(), Directory.objects.count()) == (users, 1)
        whole = root.post(page("directory-new", "ldap"), typed(slapd, preview="1")).content.decode()
        assert "<html" in whole
        assert READER_PASSWORD not in whole

    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"password": "not this"}, ("password",)),
            ({"servers": "ldaps://127.0.0.1:1"}, ("127.0.0.1",)),
            ({"user_base": "ou=nowhere,dc=example,dc=org"}, ()),
        ],
    )
    def test_what_does_not_work_is_said(self, root, slapd, changes, words):
        answer = root.post(page("directory-new", "ldap"), typed(slapd, preview="1", **changes), headers=HTMX)
        text = answer.content.decode()
        assert answer.status_code == 200
        assert 'class="notice bad"' in text
        assert all(word in text for word in words)

    def test_a_mistake_is_told_in_the_fragment(self, root, slapd):
        answer = root.post(page("directory-new", "ldap"), typed(slapd, preview="1", user_base="x"), headers=HTMX)
        assert answer.status_code == 200
        assert "no distinguished name" in answer.content.decode()

    def test_one_user_with_what_they_would_get(self, world, root, slapd, directory):
        site = build(world)
        dn = slapd.person("erin")
        slapd.group("finance", dn)
        group = Group.objects.create(
            directory=directory, name="finance",
            external_id=slapd.attribute("cn=finance,ou=groups,dc=example,dc=org", "entryUUID"),
        )  # fmt: skip
        world.grant(group, "pool-user", site.pool)
        address = page("directory-edit", directory.pk)
        body = typed(slapd, preview="1", password="", try_user="erin")
        before = root.post(address, body, headers=HTMX).content.decode()
        assert "Desk pool" in before
        assert "finance" in before
        assert not User.objects.filter(username="erin").exists()
        erin = User.objects.create(directory=directory, username="erin", external_id=slapd.attribute(dn, "entryUUID"))
        world.staff.memberships.create(user=erin)
        world.grant(world.staff, "vm-user", site.server)
        Desktop.objects.filter(pk=site.free.pk).update(state="assigned", holder=erin)
        after = root.post(address, body, headers=HTMX).content.decode()
        assert "desk-2" in after
        assert "secret-server" in after

    def test_a_group_that_the_directory_takes_away_gives_nothing(self, world, root, slapd, directory):
        site = build(world)
        dn = slapd.person("erin")
        erin = User.objects.create(directory=directory, username="erin", external_id=slapd.attribute(dn, "entryUUID"))
        group = Group.objects.create(directory=directory, name="gone", external_id="gone")
        Membership.objects.create(group=group, user=erin, by_hand=False, from_directory=True)
        world.grant(group, "pool-user", site.pool)
        body = typed(slapd, preview="1", password="", try_user="erin")
        assert "Desk pool" not in root.post(page("directory-edit", directory.pk), body, headers=HTMX).content.decode()

    def test_somebody_who_is_not_there_is_disabled_or_has_a_name_that_is_taken(self, world, root, slapd):
        slapd.person("alice")

        def tried(name: str) -> str:
            body = typed(slapd, preview="1", try_user=name)
            return root.post(page("directory-new", "ldap"), body, headers=HTMX).content.decode()

        assert "nobody of this name" in tried("no-such-one")
        assert "nobody of this name" in tried("*)(uid=*")
        assert "There is a user of this name in Local already" in tried("alice")

    def test_who_may_not_change_the_system_makes_berth_ask_nobody(self, world, slapd):
        from broker.core.errors import Denied

        world.grant(world.bob, "auditor")
        client = Client()
        client.force_login(world.bob)
        assert client.get(page("directories")).status_code == 200
        assert client.get(page("directory-new", "ldap")).status_code == 403
        assert client.post(page("directory-new", "ldap"), typed(slapd, preview="1")).status_code == 403
        with pytest.raises(Denied):
            preview_directory(actor=world.actor("bob"), kind="ldap", config=slapd.config(), password="x")
        assert not Event.objects.filter(kind="directory.previewed").exists()


class TestThePages:
    def test_the_order_is_changed_by_a_button(self, root, make_directory):
        make_directory("Site", servers=["ldaps://127.0.0.1:1"])
        site = Directory.objects.get(name="Site")
        assert [row.name for row in Directory.objects.all()] == ["Local", "Site"]
        assert root.post(page("directory-deed", site.pk, "earlier")).status_code == 302
        assert [row.name for row in Directory.objects.all()] == ["Site", "Local"]

    def test_it_is_read_switched_off_and_on_and_removed(self, root, make_directory):
        row = make_directory("Site")
        for verb, enabled in (("sync", True), ("disable", False), ("enable", True)):
            assert root.post(page("directory-deed", row.pk, verb)).status_code == 302
            row.refresh_from_db()
            assert row.enabled is enabled
        assert row.sync_asked
        assert root.post(page("directory-deed", row.pk, "nonsense")).status_code == 404
        root.post(page("directory-delete", row.pk))
        assert not Directory.objects.filter(pk=row.pk).exists()

    def test_what_waits_for_a_word_is_said(self, root, make_directory):
        row = make_directory("Site")
        Directory.objects.filter(pk=row.pk).update(
            sync_held=17, sync_error={"message": "Too much is gone.", "fix": "Look."}
        )
        text = root.get(page("directory", row.pk)).content.decode()
        assert "17 users or memberships" in text
        assert "Too much is gone." in text
        assert root.get("/api/v1/directories/").json()["results"][-1]["error"]["message"] == "Too much is gone."
        assert page("directory-deed", row.pk, "accept") in text
        root.post(page("directory-deed", row.pk, "accept"))
        row.refresh_from_db()
        assert row.sync_asked == "accept"

    def test_strangers_find_nothing(self, world, make_directory):
        row, client = make_directory("Site"), Client()
        client.force_login(world.charlie)
        assert "Site" not in client.get(page("directories")).content.decode()
        assert client.get(page("directory", row.pk)).status_code == 404
        for address in (page("directory-delete", row.pk), page("directory-deed", row.pk, "sync")):
            assert client.post(address).status_code == 404
        assert client.get("/api/v1/directories/").json()["results"] == []

    def test_they_cost_the_same_however_many_there_are(self, root, make_directory):
        row = make_directory("Site 0")

        def cost(address: str) -> int:
            root.get(address)
            with CaptureQueriesContext(connection) as queries:
                assert root.get(address).status_code == 200
            return len(queries)

        addresses = [page("directories"), page("directory", row.pk), "/api/v1/directories/"]
        before = [cost(address) for address in addresses]
        for number in range(1, 8):
            other = make_directory(f"Site {number}")
            for index in range(number):
                User.objects.create(directory=other, username=f"u{number}-{index}")
                Group.objects.create(directory=row, name=f"g{number}-{index}", external_id=f"{number}-{index}")
        assert [cost(address) for address in addresses] == before


class TestTheApi:
    def send(self, client, method: str, address: str, body: dict):
        return getattr(client, method)(f"/api/v1/{address}", body, content_type="application/json")

    def test_a_life(self, root, slapd):
        body = {"name": "Site", "kind": "ldap", "config": slapd.config(), "password": READER_PASSWORD, "order": 7}
        made = self.send(root, "post", "directories/", body)
        assert made.status_code == 201, made.content
        assert READER_PASSWORD not in made.content.decode()
        assert made.json()["has_password"] is True
        address = f"directories/{made.json()['id']}/"
        assert self.send(root, "patch", address, {"order": 3}).json()["order"] == 3
        elsewhere = {"config": {**slapd.config(), "servers": ["ldaps://evil.example.org"]}}
        refused = self.send(root, "patch", address, elsewhere)
        assert refused.status_code == 400
        assert "password" in refused.json()["errors"]
        assert self.send(root, "post", f"{address}sync/", {}).status_code == 200
        assert root.delete(f"/api/v1/{address}").status_code == 204

    def test_a_preview(self, root, slapd):
        slapd.person("erin")
        body = {"kind": "ldap", "config": slapd.config(), "password": READER_PASSWORD, "username": "erin"}
        told = self.send(root, "post", "directories/preview/", body)
        assert told.status_code == 200, told.content
        assert told.json()["bound"] is True
        assert told.json()["user_count"] == 1
        assert told.json()["named"]["found"] is True
        assert self.send(root, "post", "directories/preview/", {"kind": "local", "config": {}}).status_code == 409
        assert self.send(root, "post", "directories/preview/", {"kind": "x", "config": {}}).status_code == 400


class TestTheDoor:
    def test_a_directory_that_is_down_is_said_and_the_name_stays(self, world, make_directory):
        make_directory("Site", servers=["ldaps://127.0.0.1:1"])
        body = {"username": "erin", "password": "whatever it is"}
        answer = Client().post(reverse("portal:sign-in"), body)
        assert answer.status_code == 503
        assert 'value="erin"' in answer.content.decode()
        assert "whatever it is" not in answer.content.decode()
        assert "does not answer" in answer.content.decode()
        assert "127.0.0.1:1" not in answer.content.decode()
        admin = Client().post(reverse("portal:sign-in"), {"username": "root", "password": PASSWORD})
        assert admin.status_code == 302

    def test_an_unknown_name_costs_what_a_wrong_password_costs(self, world, slapd, directory, monkeypatch):
        """The same hashes, searches and binds."""
        slapd.person("erin")
        done: list[str] = []

        def counted(owner: type, name: str) -> None:
            inner = getattr(owner, name)
            monkeypatch.setattr(owner, name, lambda *args, **more: done.append(name) or inner(*args, **more))

        for name in ("simple_bind", "search_ext"):
            counted(ldap.ldapobject.SimpleLDAPObject, name)
        counted(type(get_hasher()), "encode")
        costs = {}
        for name in ("erin", "nobody"):
            authenticate(username="warm", password="up")
            done.clear()
            assert authenticate(username=name, password="not this one") is None
            costs[name] = Counter(done)
        assert costs["erin"] == costs["nobody"]
        assert costs["erin"]["encode"] == 1
        assert costs["erin"]["simple_bind"] >= 1

    def test_times_do_not_tell_who_is_in_the_directory(self, world, slapd, directory, settings):
        """S34: By the median of the clock, in turns, with room for a busy machine."""
        settings.PASSWORD_HASHERS = ["tests.hashing.CostlyEnough"]
        took: dict[str, list[float]] = {"erin": [], "nobody": []}
        for number in range(15):
            slapd.person(f"erin{number}")  # a new one each time: the directory itself locks who fails five times
            for name, times in took.items():
                TryCount.objects.all().delete()
                began = time.perf_counter()
                assert authenticate(username=f"{name}{number}", password="not this one") is None
                times.append(time.perf_counter() - began)
        known, unknown = (statistics.median(times) for times in took.values())
        assert 0.4 < known / unknown < 2.5, took
