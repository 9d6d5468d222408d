"""Scopes of API tokens over random grants: a token may exactly what its person may and its scope includes.

What a scope includes is said here once more, the long way.
"""

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broker.access.actions.grant import grant
from broker.access.actor import Actor
from broker.access.handing_out import lacking
from broker.access.kinds import GRANTABLE
from broker.access.models import Grant, Role
from broker.access.queries import grants, roles
from broker.access.require import directly_on, find, in_scope, may, require, visible_to, within
from broker.access.roles import covers
from broker.access.scope import OWN, Scope, Token
from broker.access.verbs import VERBS
from broker.core import clock
from broker.core.errors import Denied, Missing
from broker.directories.actions.set_password import set_password
from broker.events.models import Event
from broker.events.record import record
from broker.jobs.models import Job
from broker.virt.actions.create_saved_search import create_saved_search
from broker.virt.actions.create_vm import create_vm
from broker.virt.models import VirtualMachine
from broker.virt.saved import saved_searches

from .test_rights import ABOVE, PATTERNS, estate, scatter  # noqa: F401 - a fixture

SCOPES = [*PATTERNS, "*.use", "*.manage", "own.*"]


def by_token(user, scope: Scope | None, name="ci") -> Actor:
    return Actor(user=user, name=user.username, token=Token(name, scope))


def random_scope(estate, random_: random.Random) -> tuple[Scope, list[tuple[str, str]]]:  # noqa: F811
    """A scope, and where it is as (side, kind); none for everywhere."""
    places = []
    if random_.random() < 0.6:
        places = [(random_.choice(["one", "two"]), random_.choice(GRANTABLE)) for _ in range(random_.randint(1, 2))]
    verbs = tuple(random_.sample(SCOPES, random_.randint(1, 4))) if random_.random() < 0.7 else None
    objects = frozenset((kind, estate.sides[side][kind].pk) for side, kind in places)
    return Scope(random_.random() < 0.3, verbs, objects), places


def includes(scope: Scope, places, verb: str, side: str | None, kind: str | None) -> bool:
    if scope.read_only and not verb.endswith(".view"):
        return False
    if scope.verbs is not None and not any(covers([pattern], verb) for pattern in scope.verbs):
        return False
    return not places or any(
        where == side and kind is not None and (on == kind or on in ABOVE[kind]) for where, on in places
    )


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32))
def test_a_token_may_what_its_person_may_and_its_scope_includes(estate, seed):  # noqa: F811
    Grant.objects.exclude(user=estate.world.root).delete()
    Role.objects.filter(builtin=False).delete()
    bob, random_ = estate.world.bob, random.Random(seed)
    scatter(estate, bob, random_, random_.randint(1, 5))
    scope, places = random_scope(estate, random_)
    person, token = Actor.for_user(bob), by_token(bob, scope)
    verbs = random_.sample(list(VERBS), 8)
    for side, objects in estate.sides.items():
        for kind, obj in objects.items():
            rows = type(obj)._default_manager.filter(pk=obj.pk)
            for verb in verbs:
                inside = includes(scope, places, verb, side, kind)
                expected = may(person, verb, obj) and inside
                label = (verb, side, kind, scope, places)
                assert may(token, verb, obj) is expected, label
                assert within(token, verb, obj) is inside, label
                assert visible_to(token, rows, verb).exists() is expected, label
                assert in_scope(token, rows, verb).exists() is inside, label
                direct = directly_on(token, kind, verb)
                assert direct is None or (obj.pk in direct) is expected, label
                assert not (lacking(person, [verb], obj) and not lacking(token, [verb], obj)), label
                if not inside:
                    assert lacking(token, [verb], obj) == [verb], label
    for verb in verbs:
        assert may(token, verb) is (may(person, verb) and includes(scope, places, verb, None, None))
    assert Scope.of(scope.as_dict()) == scope


def test_without_a_scope_a_token_may_all_that_its_person_may(estate):  # noqa: F811
    bob = estate.world.bob
    scatter(estate, bob, random.Random(7), 5)
    person, token = Actor.for_user(bob), by_token(bob, None)
    for obj in [None, *estate.sides["one"].values()]:
        assert [verb for verb in VERBS if may(person, verb, obj)] == [verb for verb in VERBS if may(token, verb, obj)]
    assert all(within(token, verb) for verb in OWN)


class TestRefusals:
    def test_it_is_the_scope_that_is_named_where_the_person_may(self, estate):  # noqa: F811
        vm, root = estate.sides["one"]["vm"], estate.world.root
        with pytest.raises(Denied) as refused:
            require(by_token(root, Scope(verbs=("vm.view",))), "vm.power", vm)
        assert refused.value.rule == "access.scope" and "token" in refused.value.message and refused.value.fix
        bob = estate.world.bob
        estate.world.grant(bob, "viewer", vm)
        with pytest.raises(Denied) as refused:
            require(by_token(bob, Scope(verbs=("vm.view",))), "vm.power", vm)
        assert refused.value.rule == "access.right", "the person may not either"

    def test_what_is_outside_is_not_told_from_what_is_not_there(self, estate):  # noqa: F811
        one, two = (estate.sides[side]["vm"] for side in ("one", "two"))
        token = by_token(estate.world.root, Scope(objects=frozenset({("vm", one.pk)})))
        assert find(token, VirtualMachine, one.pk) == one
        errors = []
        for pk in (two.pk, estate.world.root.pk):
            with pytest.raises(Missing) as refused:
                find(token, VirtualMachine, pk)
            errors.append(refused.value.as_dict())
        assert errors[0] == errors[1] and "token" in errors[0]["message"]


class TestNoWayUp:
    def test_a_token_hands_out_no_more_than_it_may(self, estate):  # noqa: F811
        world, vm = estate.world, estate.sides["one"]["vm"]
        admin = Role.objects.get(name="admin")
        for scope in (
            Scope(verbs=("system.manage", "user.manage")),
            Scope(objects=frozenset({("vm", vm.pk)})),
            Scope(verbs=("vm.*",), objects=frozenset({("cluster", vm.cluster_id)})),
        ):
            with pytest.raises((Denied, Missing)):
                grant(actor=by_token(world.root, scope), role=admin, user=world.bob)
        inside = by_token(world.root, Scope(verbs=("vm.*",), objects=frozenset({("vm", vm.pk)})))
        assert grant(actor=inside, role=Role.objects.get(name="vm-user"), user=world.bob, obj=vm)

    @pytest.mark.parametrize("scope", [Scope(verbs=("user.*", "system.*")), Scope(read_only=True)])
    def test_ones_own_password_takes_that_right_and_no_other(self, world, scope):
        with pytest.raises(Denied) as refused:
            set_password(actor=by_token(world.root, scope), user=world.root, password="another horse entirely")
        assert refused.value.rule == "access.scope"
        account = by_token(world.root, Scope(verbs=("account.manage",)))
        set_password(actor=account, user=world.root, password="another horse entirely")

    def test_who_makes_a_machine_by_a_token_is_given_what_they_would_be_anyway(self, world):
        token = by_token(world.root, Scope(verbs=("*.view", "vm.create", "template.use")))
        create_vm(actor=token, name="made", version=world.version, storage=world.storage, network=world.network)
        assert not Grant.objects.filter(object_kind="vm").exists(), "an administrator has the rights of an owner anyway"


class TestOnesOwn:
    def test_what_needs_no_right_needs_one_of_the_token(self, world):
        bob = world.bob
        with pytest.raises(Denied) as refused:
            create_saved_search(actor=by_token(bob, Scope(verbs=("vm.*",))), name="mine", text="")
        assert refused.value.rule == "access.scope"
        create_saved_search(actor=by_token(bob, Scope(verbs=("own.manage",))), name="mine", text="")
        seen = {
            scope: saved_searches(by_token(bob, scope)).count()
            for scope in (None, Scope(read_only=True), Scope(verbs=("own.*",)), Scope(verbs=("vm.view",)))
        }
        assert list(seen.values()) == [1, 1, 1, 0]

    def test_grants_and_roles_are_seen_as_far_as_the_token_does(self, world):
        world.grant(world.bob, "vm-user")
        assert grants(Actor.for_user(world.bob)).count() == 1
        assert not grants(by_token(world.bob, Scope(verbs=("vm.*",)))).exists()
        assert roles(by_token(world.root, Scope(read_only=True))).exists()
        assert not roles(by_token(world.root, Scope(verbs=("pool.view",)))).exists()

    def test_a_token_of_one_machine_follows_its_jobs_and_events_and_no_others(self, estate):  # noqa: F811
        bob, told = estate.world.bob, {}
        for side, objects in estate.sides.items():
            vm = objects["vm"]
            Job.objects.create(plan="vm.start", title="x", subject_kind="vm", subject_id=vm.pk, subject_name=vm.name,
                               actor=bob, actor_name="bob")  # fmt: skip
            told[side] = record("x", actor=Actor.for_user(bob), subject=vm, message="x")
        for kind in ("vm", "pool", "cluster"):
            token = by_token(bob, Scope(objects=frozenset({(kind, estate.sides["one"][kind].pk)})))
            assert [job.subject_name for job in visible_to(token, Job)] == ["vm-one"]
            assert list(visible_to(token, Event)) == [told["one"]]
            assert [may(token, "event.view", told[side]) for side in ("one", "two")] == [True, False]
        assert visible_to(Actor.for_user(bob), Job).count() == 2


def test_events_name_the_token(world):
    event = record("x", actor=by_token(world.bob, None, "backup script"), message="x %(a)s", a=1)
    assert (event.token, event.actor_name, event.message) == ("backup script", "bob", "x 1")
    assert "backup script" in event.by
    assert Event.objects.get(pk=event.pk).token == "backup script"
    plain = Event(at=clock.now(), kind="x", actor_name="bob", template="x")
    assert (plain.token, plain.by) == ("", "bob")
