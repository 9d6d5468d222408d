"""Narrowed API tokens at every operation of the API, and what such a token may make of tokens itself."""

import random
from datetime import timedelta

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broker.access.scope import OWN, Scope
from broker.access.verbs import VERBS
from broker.core import clock
from broker.events.models import Event
from broker.virt.models import Batch
from broker.virt.plans.batch_run import _ask, actor_of
from pools.models import Desktop
from portal.models import ApiToken

from .conftest import Caller
from .test_sweep import MORE_THAN_LOOKING, PERSONAL, fill, operations, snapshot, tenant  # noqa: F401 - a fixture

pytestmark = pytest.mark.urls("tests.portal.api.urls")

OPERATIONS = operations()
REFUSED = {400, 403, 404}


def token_of(user, scope: Scope | None = None, **fields) -> Caller:
    kept = scope.as_dict() if scope else None
    _row, secret = ApiToken.objects.create(
        user=user, name="ci", expiry=fields.pop("expiry", timedelta(days=30)), scope=kept, **fields
    )
    return Caller(secret)


def call(caller: Caller, method: str, pattern: str, tenant):  # noqa: F811
    path = fill(pattern, tenant).removeprefix("/api/v1/")
    answer = caller.call(method, path, None if method in {"GET", "DELETE"} else {})
    if answer.streaming:
        answer.close()
    return answer


def text_of(answer) -> str:
    return "" if answer.streaming else answer.content.decode()


class Back(Exception):
    """Takes back what a call did."""


def told(caller: Caller, method: str, pattern: str, tenant):  # noqa: F811
    """The answer of a call whose effects are taken back."""
    answer = None
    try:
        with transaction.atomic():
            answer = call(caller, method, pattern, tenant)
            raise Back
    except Back:
        return answer


def test_a_token_for_something_else_does_nothing_and_sees_nothing(world, tenant, settings):  # noqa: F811
    settings.API_MADE_A_MINUTE = 10_000
    for user in (world.bob, world.root):
        caller, before = token_of(user, Scope(verbs=("recording.delete",))), snapshot()
        secret = [str(pk) for pk in tenant.values() if not isinstance(pk, int) and pk != world.bob.pk]
        for method, pattern in OPERATIONS:
            if (method, pattern) == ("GET", "/api/v1/schema/") or "/recordings/" in pattern:
                continue
            answer = call(caller, method, pattern, tenant)
            label = f"{user} {method} {pattern}: {answer.status_code} {text_of(answer)[:300]}"
            if method == "GET" and "{" not in pattern:
                assert answer.status_code == 200, label
                assert not [pk for pk in secret if pk in text_of(answer)] or pattern == "/api/v1/me/", label
            else:
                assert answer.status_code in REFUSED, label
        assert snapshot() == before
        assert ApiToken.objects.filter(user=user, name="ci").count() == 1


def test_a_token_that_only_reads_reads_all_and_changes_nothing(world, tenant):  # noqa: F811
    whole, reading, before = token_of(world.root), token_of(world.root, Scope(read_only=True)), snapshot()
    for method, pattern in OPERATIONS:
        answer = call(reading, method, pattern, tenant)
        label = f"{method} {pattern}: {answer.status_code} {text_of(answer)[:300]}"
        if method != "GET":
            assert answer.status_code in REFUSED, label
        elif not pattern.endswith(MORE_THAN_LOOKING) and not pattern.startswith(PERSONAL):
            assert answer.status_code == call(whole, method, pattern, tenant).status_code, label
    assert snapshot() == before


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32))
def test_at_every_operation_a_token_may_what_its_person_may_and_its_scope_includes(world, tenant, seed):  # noqa: F811
    random_ = random.Random(seed)
    user = random_.choice([world.bob, world.root])
    verbs = tuple(random_.sample([*VERBS, *OWN, "*.view", "vm.*", "pool.*", "host.*", "own.*"], random_.randint(1, 12)))
    scope = Scope(random_.random() < 0.25, verbs)
    whole, narrow = token_of(user, Scope(verbs=("*",))), token_of(user, scope)
    asked, granted, covers = set(), set(), Scope.covers

    def noted(self, verb):
        answer = covers(self, verb)
        (asked if self.verbs == ("*",) else granted if answer else set()).add(verb)
        return answer

    for method, pattern in random_.sample(OPERATIONS, 60):
        asked.clear(), granted.clear()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Scope, "covers", noted)
            by_person = told(whole, method, pattern, tenant)
            by_token = told(narrow, method, pattern, tenant)
        label = (
            f"{user} {method} {pattern} {scope}: {by_person.status_code}, {by_token.status_code}; "
            f"asked {asked}, granted {granted}"
        )
        if by_token.status_code < 400:
            assert by_person.status_code < 400, label
        if all(scope.covers(verb) for verb in asked) and (method, pattern) != ("POST", "/api/v1/tokens/"):
            assert by_token.status_code == by_person.status_code, label
        if not granted and (method != "GET" or "{" in pattern):
            assert by_token.status_code in REFUSED, label


class TestMaking:
    def test_it_is_told_back_and_works(self, world, make_vm):
        vm, other = make_vm("one"), make_vm("two")
        root = token_of(world.root)
        made = root.post("tokens/", {
            "name": "starter", "days": 7, "verbs": ["vm.power"], "objects": [{"kind": "vm", "id": str(vm.pk)}],
            "networks": ["127.0.0.0/8"],
        })  # fmt: skip
        assert made.status_code == 201, made.content
        told_back = made.json()
        assert told_back["verbs"] == ["job.view", "vm.power", "vm.view"] and not told_back["read_only"]
        assert told_back["objects"] == [{"kind": "vm", "id": str(vm.pk)}] and told_back["networks"] == ["127.0.0.0/8"]
        assert told_back["last_used_at"] is None
        starter = Caller(told_back["token"])
        assert [row["name"] for row in starter.get("vms/").json()["results"]] == ["one"]
        started = starter.post(f"vms/{vm.pk}/start/")
        assert started.status_code == 202
        assert starter.get(f"jobs/{started.json()['id']}/").status_code == 200, "it follows what it began"
        assert starter.get(f"vms/{other.pk}/").status_code == 404
        refused = starter.delete(f"vms/{vm.pk}/")
        assert refused.status_code == 403 and refused.json()["rule"] == "access.scope", refused.content
        assert "token" in refused.json()["detail"] and refused.json()["fix"]
        row = ApiToken.objects.get(name="starter")
        assert row.last_used_at and Event.objects.filter(kind="vm.start", params__token="starter").count() <= 1
        assert Event.objects.filter(params__token="starter", kind="api.refused").exists(), "the refusal names it, too"

    @pytest.mark.parametrize(
        "body, field",
        [
            ({"verbs": ["vm.fly"]}, "verbs"), ({"verbs": []}, "verbs"), ({"networks": ["10.0.0.1/8"]}, "networks"),
            ({"networks": ["home"]}, "networks"), ({"objects": [{"kind": "vm"}]}, "objects.0.id"),
            ({"objects": [{"kind": "user", "id": "0" * 36}]}, "objects.0.kind"), ({"days": 0}, "days"),
            ({"read_only": "yes"}, "read_only"), ({"scope": {}}, "scope"),
        ],
    )  # fmt: skip
    def test_what_cannot_be_is_refused_at_its_field(self, world, body, field):
        answer = token_of(world.root).post("tokens/", {"name": "x", **body})
        assert answer.status_code == 400 and field in answer.json()["errors"], answer.content

    def test_an_object_one_does_not_see_is_none(self, world, make_vm):
        vm = make_vm("one")
        answer = token_of(world.charlie).post("tokens/", {"name": "x", "objects": [{"kind": "vm", "id": str(vm.pk)}]})
        assert answer.status_code in {400, 404} and not ApiToken.objects.filter(name="x").exists()

    def test_it_makes_none_wider_than_itself(self, world, make_vm):
        vm, other = make_vm("one"), make_vm("two")
        rights = ("account.manage", "own.view", "vm.power", "vm.view", "job.view")
        there = frozenset({("vm", vm.pk), ("cluster", world.cluster.pk)})
        wide = token_of(world.root, Scope(verbs=rights), networks=["127.0.0.0/8"])
        bodies = (
            ({}, False), ({"read_only": True}, False), ({"verbs": ["vm.delete"]}, False), ({"verbs": ["*"]}, False),
            ({"verbs": ["vm.power"]}, False), ({"verbs": ["vm.power"], "networks": ["127.0.0.1"]}, True),
            ({"verbs": ["vm.power"], "networks": ["10.0.0.0/8"]}, False),
            ({"verbs": ["vm.power"], "networks": ["127.0.0.1"], "days": 60}, False),
            ({"verbs": ["vm.power"], "networks": ["::/0"]}, False),
        )  # fmt: skip
        for body, allowed in bodies:
            answer = wide.post("tokens/", {"name": "x", "days": 5, **body})
            assert (answer.status_code == 201) is allowed, (body, answer.content)
            if not allowed:
                assert answer.json()["rule"] == "access.scope", body
        # One that is narrowed to objects has nothing of what is about none: it makes no tokens at all.
        placed = token_of(world.root, Scope(verbs=("*",), objects=there))
        for objects in ([], [{"kind": "vm", "id": str(other.pk)}], [{"kind": "vm", "id": str(vm.pk)}]):
            assert placed.post("tokens/", {"name": "x", "days": 5, "objects": objects}).status_code == 403
        reading = token_of(world.root, Scope(read_only=True))
        assert reading.post("tokens/", {"name": "x", "read_only": True}).status_code == 403

    def test_old_tokens_keep_all_their_rights(self, world, caller):
        root = caller("root")  # as the rows of before: no scope, no networks
        assert root.post("tokens/", {"name": "more", "days": 365}).status_code == 201
        assert root.get("tokens/").json()["results"][0]["verbs"] is None


class TestUsing:
    def test_it_is_good_in_its_networks_alone(self, world):
        there, elsewhere = (token_of(world.root, networks=[net]) for net in ("127.0.0.0/8", "192.0.2.0/24"))
        assert there.get("me/").status_code == 200
        refused = elsewhere.get("me/")
        assert refused.status_code == 403 and refused.json()["rule"] == "access.scope"
        assert "127.0.0.1" in refused.json()["detail"] and refused.json()["fix"]

    def test_when_it_was_used_is_written_once_a_minute(self, world, monkeypatch):
        caller, now = token_of(world.root), clock.now()
        seen = []
        for seconds in (0, 30, 61):
            monkeypatch.setattr("portal.api.auth.clock.now", lambda s=seconds: now + timedelta(seconds=s))
            caller.get("me/")
            seen.append(ApiToken.objects.get(name="ci").last_used_at)
        assert seen == [now, now, now + timedelta(seconds=61)]

    def test_me_tells_what_is_left(self, world):
        assert token_of(world.root, Scope(verbs=("vm.*",))).get("me/").json()["verbs"] == sorted(
            verb for verb in VERBS if verb.startswith("vm.")
        )
        assert token_of(world.root).get("me/").json()["verbs"] == ["*"]

    def test_an_answer_to_a_wider_token_is_not_repeated_to_a_narrower_one(self, world):
        whole, narrow = token_of(world.root), token_of(world.root, Scope(verbs=("vm.view",)))
        body = {"name": "things"}
        assert whole.post("groups/", body, Idempotency_Key="once").status_code == 201
        assert narrow.post("groups/", body, Idempotency_Key="once").status_code in {403, 422}
        assert whole.post("groups/", body, Idempotency_Key="once").status_code == 201

    def test_what_is_done_later_is_done_by_the_token(self, world, make_vm):
        one, two = make_vm("one"), make_vm("two")
        scope = Scope(verbs=("vm.view", "vm.power"), objects=frozenset({("vm", one.pk)}))
        caller = token_of(world.root, scope)
        assert caller.post("batches/", {"verb": "start", "machines": [str(one.pk), str(two.pk)]}).status_code == 404
        assert caller.post("batches/", {"verb": "start", "machines": [str(one.pk)]}).status_code == 202
        batch = Batch.objects.get()
        assert Scope.of(batch.scope) == scope and batch.token == "ci"
        assert _ask(actor_of(batch), "start", str(two.pk))["state"] == "refused"
        assert _ask(actor_of(batch), "start", str(one.pk))["state"] == "asked"

    def test_a_desktop_is_taken_and_given_back_by_a_token_of_its_pool(self, world, make_pool, make_desktop):
        pool, other = make_pool("mine"), make_pool("other")
        for one in (pool, other):
            make_desktop(one)
            world.grant(world.charlie, "pool-user", one)
        scope = Scope(verbs=("pool.view", "pool.use", "vm.view", "job.view"), objects=frozenset({("pool", pool.pk)}))
        caller = token_of(world.charlie, scope)
        assert caller.post(f"pools/{other.pk}/take/").status_code == 404
        taken = caller.post(f"pools/{pool.pk}/take/")
        assert taken.status_code in {200, 202}, taken.content
        desktop = Desktop.objects.get(holder=world.charlie)
        assert [row["id"] for row in caller.get("desktops/").json()["results"]] == [str(desktop.pk)]
        looking = token_of(world.charlie, Scope(read_only=True))
        refused = looking.post(f"desktops/{desktop.pk}/release/")
        assert refused.status_code in {403, 404} and Desktop.objects.get(pk=desktop.pk).holder_id
        assert caller.post(f"desktops/{desktop.pk}/release/").status_code in {200, 202, 409}
