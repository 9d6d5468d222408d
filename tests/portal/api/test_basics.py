"""The API's manners: problem documents, strict input, paging, idempotency, refusals on record."""

import pytest
from django.test import Client

from broker.events.models import Event
from broker.jobs.models import Job
from portal.models import ApiToken, IdempotencyKey
from tests.world import PASSWORD

pytestmark = pytest.mark.urls("tests.portal.api.urls")


def problem(response, status, code):
    assert response.status_code == status, response.content
    assert response["Content-Type"] == "application/problem+json"
    document = response.json()
    assert document["status"] == status
    assert document["code"] == code, document
    assert document["detail"]
    assert document["fix"]
    return document


def test_nobody_is_told_to_sign_in(caller):
    response = caller("").get("vms/")
    problem(response, 401, "unauthenticated")
    assert response["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("token", ["nonsense", "ünïcode", "a b"])
def test_a_bad_token_is_refused(world, token):
    response = Client(headers={"Authorization": f"Bearer {token}"}).get("/api/v1/me/")
    problem(response, 401, "unauthenticated")


def test_me(caller, world):
    world.grant(world.alice, "operator")
    me = caller("alice").get("me/").json()
    assert me["username"] == "alice"
    assert "vm.*" in me["verbs"]


def test_the_list_shows_what_one_may_see(caller, world, make_vm):
    one = make_vm("one")
    make_vm("two")
    world.grant(world.alice, "vm-user", one)
    assert [vm["name"] for vm in caller("alice").get("vms/").json()["results"]] == ["one"]
    assert caller("charlie").get("vms/").json()["count"] == 0
    assert caller("root").get("vms/").json()["count"] == 2


def test_what_is_not_ones_own_is_not_there(caller, world, make_vm):
    vm = make_vm("one")
    problem(caller("charlie").get(f"vms/{vm.pk}/"), 404, "missing")
    problem(caller("charlie").post(f"vms/{vm.pk}/start/"), 404, "missing")


def test_the_host_is_told_only_to_who_may_see_hosts(caller, world, make_vm):
    vm = make_vm("one")
    world.grant(world.alice, "vm-user", vm)
    assert caller("alice").get(f"vms/{vm.pk}/").json()["host"] is None
    assert caller("root").get(f"vms/{vm.pk}/").json()["host"]["name"] == "host-1"


def test_an_action_gives_a_job_and_its_address(caller, make_vm):
    vm = make_vm("one")
    root = caller("root")
    response = root.post(f"vms/{vm.pk}/start/")
    assert response.status_code == 202, response.content
    job = response.json()
    assert job["subject"] == {"kind": "vm", "id": str(vm.pk), "name": "one"}
    assert response["Location"] == f"/api/v1/jobs/{job['id']}/"
    assert root.get(f"jobs/{job['id']}/").json()["steps"] == []
    assert root.get(f"vms/{vm.pk}/").json()["job"] == job["id"]


def test_a_second_action_meanwhile_is_busy(caller, make_vm):
    vm = make_vm("one")
    root = caller("root")
    root.post(f"vms/{vm.pk}/start/")
    document = problem(root.post(f"vms/{vm.pk}/start/"), 409, "busy")
    assert document["retry"] is True


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"ordering": "password"}, "ordering"),
        ({"ordering": "name,,"}, "ordering"),
        ({"page_size": "501"}, "page_size"),
        ({"page_size": "-1"}, "page_size"),
        ({"stat": "ready"}, "stat"),
        ({"state": "sleepy"}, "state"),
        ({"cluster": "no-uuid"}, "cluster"),
        ({"search": "x" * 501}, "search"),
        ({"search": "nul\0"}, "search"),
    ],
)
def test_a_query_that_means_nothing_is_refused_by_name(caller, query, field):
    document = problem(caller("root").get("vms/", **query), 400, "invalid")
    assert field in document["errors"]


@pytest.mark.parametrize("page", ["0", "-1", "x", "9" * 40])
def test_a_page_that_is_not_there(caller, page):
    problem(caller("root").get("vms/", page=page), 404, "missing")


def test_ordering(caller, make_vm):
    for name in ("b", "a", "c"):
        make_vm(name)
    names = [vm["name"] for vm in caller("root").get("vms/", ordering="-name").json()["results"]]
    assert names == ["c", "b", "a"]


def test_unknown_fields_are_named_not_ignored(caller, world, make_vm):
    vm = make_vm("one")
    document = problem(caller("root").patch(f"vms/{vm.pk}/", {"title": "x", "state": "broken"}), 400, "invalid")
    assert list(document["errors"]) == ["state"]
    document = problem(caller("root").post(f"vms/{vm.pk}/start/", {"force": True}), 400, "invalid")
    assert list(document["errors"]) == ["force"]
    vm.refresh_from_db()
    assert (vm.title, vm.state) == ("", "ready")


@pytest.mark.parametrize("title", ["zero\u200bwidth", "bell\a", "rtl\u202e", "x" * 129, 5, None, ["a"]])
def test_titles_that_nobody_can_read_are_refused(caller, make_vm, title):
    document = problem(caller("root").patch(f"vms/{make_vm('one').pk}/", {"title": title}), 400, "invalid")
    assert list(document["errors"]) == ["title"]


def test_markup_is_text(caller, make_vm):
    title = """<script>alert("x")</script> ' ; --"""
    answer = caller("root").patch(f"vms/{make_vm('one').pk}/", {"title": title})
    assert answer.json()["title"] == title


@pytest.mark.parametrize("name", ["", "../x", "a b", "x" * 65, "a\n", "-x", "é", 3])
def test_names_that_could_be_paths_are_refused(caller, world, name):
    document = problem(caller("root").post("vms/", {"name": name, "version": str(world.version.pk)}), 400, "invalid")
    assert list(document["errors"]) == ["name"]
    assert not Job.objects.exists()


@pytest.mark.parametrize("body", [b"{", b"[]", b'"x"', b"\xff", b'{"title": NaN}', b"null"])
def test_a_body_that_is_no_object(caller, make_vm, body):
    response = caller("root").patch(f"vms/{make_vm('one').pk}/", body)
    problem(response, 400, "invalid")


def test_only_json(caller, make_vm):
    path = f"/api/v1/vms/{make_vm('one').pk}/start/"
    response = caller("root").client.post(path, "a=b", content_type="application/x-www-form-urlencoded")
    problem(response, 415, "media-type")
    problem(caller("root").client.get("/api/v1/vms/", headers={"Accept": "text/html"}), 406, "not-acceptable")


def test_a_large_body_is_refused(caller, make_vm):
    response = caller("root").patch(f"vms/{make_vm('one').pk}/", {"title": "x" * 70_000})
    problem(response, 413, "too-large")


def test_addresses_and_methods_that_are_none(caller, make_vm):
    problem(caller("root").get("nothing/"), 404, "missing")
    problem(caller("root").get("vms/12/"), 404, "missing")
    problem(caller("root").call("PUT", "vms/"), 405, "method")
    problem(caller("root").call("OPTIONS", "vms/"), 405, "method")


def test_a_defect_is_a_problem_without_a_traceback(caller, monkeypatch):
    from portal.api.views.vms import Vms

    def broken(self):
        raise RuntimeError("secret detail")

    monkeypatch.setattr(Vms, "rows", broken)
    response = caller("root").get("vms/")
    problem(response, 500, "error")
    assert b"secret detail" not in response.content


class TestRefusals:
    def test_one_event_for_each_refused_change(self, caller, world, make_vm):
        vm = make_vm("one")
        caller("charlie").post(f"vms/{vm.pk}/start/")
        event = Event.objects.get(kind="api.refused")
        assert (event.actor_name, event.severity) == ("charlie", "warning")
        assert f"/api/v1/vms/{vm.pk}/start/" in event.message
        assert event.correlation

    def test_none_for_reading_or_for_nobody(self, caller, make_vm):
        vm = make_vm("one")
        caller("charlie").get(f"vms/{vm.pk}/")
        caller("").post(f"vms/{vm.pk}/start/")
        assert not Event.objects.filter(kind="api.refused").exists()

    def test_no_secret_is_written_down(self, caller):
        caller("alice").post("users/", {"username": "eve", "password": "correct horse battery staple"})
        assert "correct horse" not in Event.objects.get(kind="api.refused").message

    def test_a_missing_csrf_token_is_refused_and_recorded(self, world, make_vm):
        """S38."""
        client = Client(enforce_csrf_checks=True)
        client.force_login(world.root)
        response = client.post(f"/api/v1/vms/{make_vm('one').pk}/start/", content_type="application/json")
        problem(response, 403, "denied")
        assert Event.objects.get(kind="api.refused").actor_name == "root"
        assert not Job.objects.exists()


class TestIdempotency:
    KEY = "6f1c1c2e-0000-4000-8000-000000000001"

    def test_the_same_call_twice_has_one_effect_and_one_answer(self, caller, make_vm):
        vm = make_vm("one")
        root = caller("root")
        first = root.post(f"vms/{vm.pk}/start/", Idempotency_Key=self.KEY)
        second = root.post(f"vms/{vm.pk}/start/", Idempotency_Key=self.KEY)
        assert (first.status_code, second.status_code) == (202, 202)
        assert first.json() == second.json()
        assert second["Location"] == first["Location"]
        assert second["Idempotency-Replayed"] == "true"
        assert "Idempotency-Replayed" not in first
        assert Job.objects.count() == 1

    def test_another_call_with_the_key_is_refused(self, caller, make_vm):
        root, one, two = caller("root"), make_vm("one"), make_vm("two")
        root.post(f"vms/{one.pk}/start/", Idempotency_Key=self.KEY)
        problem(root.post(f"vms/{two.pk}/start/", Idempotency_Key=self.KEY), 422, "reused-key")
        problem(root.patch(f"vms/{one.pk}/", {"title": "x"}, Idempotency_Key=self.KEY), 422, "reused-key")
        assert Job.objects.count() == 1

    def test_the_key_of_another_user_is_another_key(self, caller, world, make_vm):
        vm = make_vm("one")
        world.grant(world.alice, "operator")
        caller("root").patch(f"vms/{vm.pk}/", {"title": "r"}, Idempotency_Key=self.KEY)
        answer = caller("alice").patch(f"vms/{vm.pk}/", {"title": "a"}, Idempotency_Key=self.KEY)
        assert answer.json()["title"] == "a"

    def test_a_refused_call_leaves_no_key(self, caller, world, make_vm):
        vm = make_vm("one")
        alice = caller("alice")
        problem(alice.post(f"vms/{vm.pk}/start/", Idempotency_Key=self.KEY), 404, "missing")
        assert not IdempotencyKey.objects.exists()
        assert Event.objects.filter(kind="api.refused").count() == 1
        world.grant(world.alice, "vm-user", vm)
        assert alice.post(f"vms/{vm.pk}/start/", Idempotency_Key=self.KEY).status_code == 202

    def test_a_secret_is_not_kept_for_the_replay(self, caller):
        root = caller("root")
        first = root.post("tokens/", {"name": "ci"}, Idempotency_Key=self.KEY)
        assert first.status_code == 201
        secret = first.json()["token"]
        row = IdempotencyKey.objects.get()
        assert row.secret
        assert secret not in row.body
        problem(root.post("tokens/", {"name": "ci"}, Idempotency_Key=self.KEY), 409, "conflict")
        assert ApiToken.objects.filter(name="ci").count() == 1

    @pytest.mark.parametrize("key", ["x" * 256, "tab\tkey"])
    def test_a_key_that_cannot_be_one(self, caller, make_vm, key):
        problem(caller("root").post(f"vms/{make_vm('one').pk}/start/", Idempotency_Key=key), 400, "invalid")
        assert not Job.objects.exists()


class TestTokens:
    def test_a_token_works_until_revoked(self, caller, world):
        from tests.portal.api.conftest import Caller

        alice = caller("alice")
        made = alice.post("tokens/", {"name": "laptop", "days": 7}).json()
        assert ApiToken.objects.get(pk=made["id"]).digest != made["token"]
        new = Caller(made["token"])
        assert new.get("me/").json()["username"] == "alice"
        assert alice.delete(f"tokens/{made['id']}/").status_code == 204
        assert new.get("me/").status_code == 401

    def test_only_ones_own_are_listed_or_revoked(self, caller):
        made = caller("alice").post("tokens/", {"name": "laptop"}).json()
        bob = caller("bob")
        assert made["id"] not in [token["id"] for token in bob.get("tokens/").json()["results"]]
        problem(bob.delete(f"tokens/{made['id']}/"), 404, "missing")

    def test_the_token_of_a_disabled_user_stops(self, caller, world):
        alice = caller("alice")
        caller("root").post(f"users/{world.alice.pk}/disable/")
        problem(alice.get("me/"), 401, "unauthenticated")
        problem(alice.post("tokens/", {"name": "another"}), 401, "unauthenticated")
        assert ApiToken.objects.filter(user=world.alice).count() == 1

    @pytest.mark.parametrize("who", ["alice", "root"])
    def test_a_new_password_ends_the_tokens(self, caller, world, who):
        alice, bob, by = caller("alice"), caller("bob"), caller(who)
        path = f"users/{world.alice.pk}/set-password/"
        problem(by.post(path, {"password": "short"}), 400, "invalid")
        assert alice.get("me/").status_code == 200
        assert by.post(path, {"password": "a quite new battery staple"}).status_code == 200
        problem(alice.get("me/"), 401, "unauthenticated")
        assert not ApiToken.objects.filter(user=world.alice).exists()
        assert bob.get("me/").status_code == 200
        event = Event.objects.get(kind="token.revoked")
        assert (event.actor_name, event.subject_id) == (who, world.alice.pk)

    def test_a_new_password_that_is_taken_back_leaves_the_tokens(self, caller, world, monkeypatch):
        from broker.directories.actions import set_password as action

        def broken(*args):
            raise RuntimeError

        alice = caller("alice")
        monkeypatch.setattr(action, "publish", broken)
        problem(
            caller("root").post(f"users/{world.alice.pk}/set-password/", {"password": "a quite new battery staple"}),
            500, "error",
        )  # fmt: skip
        assert alice.get("me/").status_code == 200

    def test_a_session_works_too(self, world):
        client = Client()
        client.login(username="alice", password=PASSWORD)
        assert client.get("/api/v1/me/").json()["username"] == "alice"


class TestTooMuch:
    """S44: what is asked for too often, too deep or too large is refused before it costs anything."""

    @pytest.fixture(autouse=True)
    def fresh(self, settings):
        from django.core.cache import cache

        settings.API_MADE_A_MINUTE = 5
        cache.clear()
        yield
        cache.clear()

    def test_a_wild_script_must_wait_and_nobody_else(self, caller, world):
        world.grant(world.alice, "admin")
        body = {"cluster": str(world.cluster.pk), "name": "t"}
        answers = [caller("root").post("templates/", body | {"name": f"t-{number}"}) for number in range(8)]
        assert [answer.status_code for answer in answers] == [201] * 5 + [429] * 3
        document = problem(answers[-1], 429, "throttled")
        assert document["retry"] is True and 0 < int(answers[-1]["Retry-After"]) <= 60
        assert caller("alice").post("templates/", body | {"name": "mine"}).status_code == 201
        assert caller("root").get("templates/").status_code == 200

    @pytest.mark.parametrize(
        "query",
        ["page_size=1000000000", "page_size=-1", "page=1e9", "ordering=" + "-" * 5000, "ordering=host__error",
         "search=" + "(a" * 5000, "name__regex=(a%2B)%2B$", "ordering=name,name,name,name,name,cluster__vms__name"],
    )  # fmt: skip
    def test_lists_that_would_cost_much(self, caller, query):
        assert caller("root").get(f"vms/?{query}").status_code in (400, 404)
