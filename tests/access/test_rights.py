"""Inheritance, explanation and escalation, over random grants: what the rules say, said once more the long way."""

import ast
import random
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broker.access.actions.create_role import create_role
from broker.access.actions.edit_role import edit_role
from broker.access.actions.grant import grant
from broker.access.actor import Actor, Held
from broker.access.explain import limits, rights, verbs_for
from broker.access.handing_out import lacking
from broker.access.kinds import GRANTABLE, KINDS
from broker.access.models import Grant, Quota, Role
from broker.access.require import may, visible_to
from broker.access.roles import BUILTIN, covers
from broker.access.verbs import VERBS, checked_verbs
from broker.core.errors import BerthError, Denied, Missing
from broker.directories.actions.set_members import set_members
from broker.directories.actions.set_password import set_password
from broker.directories.models import User
from broker.virt.actions.create_template import create_template
from broker.virt.actions.create_vm import create_vm
from broker.virt.models import Cluster, Host, Network, StorageDomain, VirtualMachine, VmTemplate
from pools.models import Desktop, MetaPool, Pool

# What inherits from what, written down here a second time: kind → the kinds of the objects above it.
ABOVE = {
    "cluster": (), "host": ("cluster",), "storage": ("cluster",), "network": ("cluster",), "template": ("cluster",),
    "pool": ("cluster",), "meta-pool": (), "vm": ("cluster", "pool"),
}  # fmt: skip
PATTERNS = [*VERBS, "*", "*.view", *(f"{kind}.*" for kind in GRANTABLE)]


@pytest.fixture
def estate(world):
    """Two clusters, each with one of everything; `of` finds an object's like in the same cluster."""
    found = {}
    for side in ("one", "two"):
        cluster = Cluster.objects.create(name=side)
        host = Host.objects.create(cluster=cluster, name=f"host-{side}", driver="simulated", uri=f"sim://{side}")
        storage = StorageDomain.objects.create(cluster=cluster, name=f"storage-{side}", path=f"/{side}")
        network = Network.objects.create(cluster=cluster, name=f"network-{side}", kind="isolated")
        template = VmTemplate.objects.create(cluster=cluster, name=f"template-{side}")
        pool = Pool.objects.create(name=f"pool-{side}", cluster=cluster, template=template, storage=storage)
        vm = VirtualMachine.objects.create(cluster=cluster, host=host, name=f"vm-{side}", state="ready")
        Desktop.objects.create(vm=vm, pool=pool, number=1, state="free")
        found[side] = {
            "cluster": cluster, "host": host, "storage": storage, "network": network, "template": template,
            "pool": pool, "meta-pool": MetaPool.objects.create(name=f"meta-{side}"), "vm": vm,
        }  # fmt: skip
    return SimpleNamespace(world=world, sides=found)


def scatter(estate, user, random_: random.Random, count: int) -> list[tuple[list[str], str, str]]:
    """Give `user` (or the group) `count` roles of random verbs on random objects; returns (verbs, side, kind)."""
    given_ = []
    for number in range(count):
        verbs = random_.sample(PATTERNS, random_.randint(1, 3))
        role = Role.objects.create(name=f"r{number}-{random_.getrandbits(40)}", title="x", verbs=verbs)
        side, kind = random_.choice(["one", "two"]), random_.choice([*GRANTABLE, "system"])
        who = {"user": user} if random_.random() < 0.5 else {"group": estate.world.staff}
        on = {} if kind == "system" else {"object_kind": kind, "object_id": estate.sides[side][kind].pk}
        Grant.objects.create(role=role, **who, **on)
        given_.append((verbs, side, kind))
    return given_


def test_what_inherits_from_what_is_what_the_documents_say():
    assert {kind: tuple(KINDS.get(kind).parents) for kind in GRANTABLE} == ABOVE


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32))
def test_a_right_reaches_exactly_what_lies_below_its_object(estate, seed):
    Grant.objects.exclude(user=estate.world.root).delete()
    bob, random_ = estate.world.bob, random.Random(seed)  # bob is in staff
    given_ = scatter(estate, bob, random_, random_.randint(0, 4))
    actor = Actor.for_user(bob)
    asked = random_.sample(list(VERBS), 6)
    for side, objects in estate.sides.items():
        for kind, obj in objects.items():
            for verb in asked:
                expected = any(
                    covers(verbs, verb) and (on == "system" or (where == side and (on == kind or on in ABOVE[kind])))
                    for verbs, where, on in given_
                )
                assert may(actor, verb, obj) is expected, (verb, side, kind, given_)
                seen = visible_to(actor, type(obj)._default_manager.all(), verb).filter(pk=obj.pk).exists()
                assert seen is expected
            answers = {one.verb: one for one in rights(actor, bob, obj)}
            assert {verb: answer.allowed for verb, answer in answers.items()} == {
                verb: may(actor, verb, obj) for verb in verbs_for(obj)
            }
            assert all(bool(answer.ways) is answer.allowed for answer in answers.values())
    everywhere = {one.verb: one.allowed for one in rights(actor, bob)}
    assert everywhere == {verb: may(actor, verb) for verb in VERBS}


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32))
def test_no_chain_of_roles_and_grants_gives_more_than_there_was(estate, seed):
    """Two people who work together, whatever they try, end with what one of them had before."""
    Grant.objects.exclude(user=estate.world.root).delete()
    Role.objects.filter(builtin=False).delete()
    world, random_ = estate.world, random.Random(seed)
    world.alice.directory_groups.clear()
    scatter(estate, world.bob, random_, 2)
    for side in ("one", "two"):
        if random_.random() < 0.5:
            world.grant(world.bob, random_.choice(sorted(BUILTIN.keys() - {"admin"})), estate.sides[side]["cluster"])
    if random_.random() < 0.7:
        manager = Role.objects.create(name="manager", title="x", verbs=["system.manage", "user.manage", "*.view"])
        Grant.objects.create(user=world.bob, role=manager)
    accomplices = [world.alice, world.bob]
    objects = [None, *(estate.sides[side][kind] for side in ("one", "two") for kind in ("cluster", "pool", "vm"))]
    before = {(verb, obj and obj.pk) for obj in objects for verb in VERBS if may(Actor.for_user(world.bob), verb, obj)}
    done = 0
    for number in range(12):
        actor = Actor.for_user(random_.choice(accomplices))
        try:
            _attempt(estate, random_, actor, random_.choice(accomplices), random_.choice(objects), number)
            done += 1
        except BerthError:
            continue
    after = {
        (verb, obj and obj.pk)
        for who in accomplices for obj in objects for verb in VERBS
        if may(Actor.for_user(User.objects.get(pk=who.pk)), verb, obj)
    }  # fmt: skip
    assert after <= before, (done, after - before)


def _attempt(estate, random_: random.Random, actor: Actor, whom, obj, number: int) -> None:
    """One of the ways in which somebody might get more rights."""
    role = random_.choice(list(Role.objects.order_by("name")))
    verbs = random_.sample(PATTERNS, random_.randint(1, 3))
    way = random_.randrange(4)
    if way == 0:
        grant(actor=actor, role=role, user=whom, obj=obj)
    elif way == 1:
        create_role(actor=actor, name=f"try-{number}", title="x", verbs=verbs)
    elif way == 2:
        edit_role(actor=actor, role=role, verbs=verbs)
    else:
        world = estate.world
        set_members(actor=actor, group=world.staff, members=[world.alice, world.bob])


class TestNoWayUp:
    def test_who_may_change_roles_writes_only_rights_of_their_own_into_them(self, world):
        Role.objects.create(name="clerk", title="x", verbs=["system.manage", "system.view", "vm.view"])
        world.grant(world.bob, "clerk")
        mine = create_role(actor=world.actor("bob"), name="looks", title="x", verbs=["vm.view"])
        strong = Role.objects.create(name="strong", title="x", verbs=["vm.delete"])
        for attempt in (
            lambda: create_role(actor=world.actor("bob"), name="all", title="x", verbs=["*"]),
            lambda: create_role(actor=world.actor("bob"), name="copy", title="x", like=Role.objects.get(name="admin")),
            lambda: edit_role(actor=world.actor("bob"), role=mine, verbs=["vm.view", "vm.power"]),
            lambda: edit_role(actor=world.actor("bob"), role=strong, verbs=["vm.view"]),
            lambda: grant(actor=world.actor("bob"), role=Role.objects.get(name="admin"), user=world.bob),
        ):
            with pytest.raises(Denied) as refused:
                attempt()
            assert refused.value.rule == "access.handing-out" and refused.value.fix
        grant(actor=world.actor("bob"), role=mine, user=world.alice)
        assert may(world.actor("alice"), "vm.view")

    def test_each_verb_of_today_is_not_every_verb_of_tomorrow(self, world):
        held = [Held(tuple(verb for verb in VERBS if verb.startswith("vm.")), "system", None)]
        actor = Actor(user=None, name="x", _cache={"grants": held})
        assert lacking(actor, ["vm.view", "vm.delete"], None) == []
        assert lacking(actor, ["vm.*"], None) == ["vm.*"]

    @settings(max_examples=200, deadline=None)
    @given(inner=st.sampled_from(PATTERNS), outer=st.sampled_from([*PATTERNS, "v*", "*m.*", "*.v*w"]))
    def test_a_pattern_within_a_pattern_covers_nothing_more(self, inner, outer):
        if covers([outer], inner):
            assert all(covers([outer], verb) for verb in VERBS if covers([inner], verb))

    @pytest.mark.parametrize("verb", ["vm.?iew", "vm.[a-z]*", "*.*.*", "vm.view ", "vm.view\n", "**.[!x]"])
    def test_other_wild_cards_are_refused(self, verb):
        with pytest.raises(BerthError):
            checked_verbs([verb])

    def test_a_password_or_a_membership_is_no_way_to_rights_of_others(self, world):
        world.grant(world.alice, "user-admin")
        world.grant(world.charlie, "operator")
        with pytest.raises(Denied):
            set_password(actor=world.actor("alice"), user=world.charlie, password="correct horse battery staple")
        world.grant(world.staff, "pool-user")
        with pytest.raises(Denied):
            set_members(actor=world.actor("alice"), group=world.staff, members=[world.alice])
        # Helping somebody who merely uses desktops is what she is for.
        set_password(actor=world.actor("alice"), user=world.bob, password="correct horse battery staple")

    def test_what_is_lent_cannot_be_handed_on(self, estate):
        world, vm = estate.world, estate.sides["one"]["vm"]
        Desktop.objects.filter(vm=vm).update(holder=world.alice, state="assigned")
        assert may(world.actor("alice"), "vm.use", vm)
        with pytest.raises(Denied):
            grant(actor=world.actor("alice"), role=Role.objects.get(name="viewer"), user=world.charlie, obj=vm)


class TestMakers:
    def test_who_makes_a_machine_owns_it_and_nothing_else(self, world):
        world.grant(world.alice, "power-user", world.cluster)
        theirs = VirtualMachine.objects.create(cluster=world.cluster, host=world.host, name="theirs", state="ready")
        job = create_vm(actor=world.actor("alice"), name="mine", version=world.version)
        mine = VirtualMachine.objects.get(pk=job.subject_id)
        alice = world.actor("alice")
        assert all(may(alice, verb, mine) for verb in ("vm.view", "vm.power", "vm.edit", "vm.delete", "vm.manage"))
        assert not may(alice, "vm.view", theirs)
        template = create_template(actor=world.actor("alice"), cluster=world.cluster, name="hers")
        assert may(world.actor("alice"), "template.manage", template)
        assert not may(world.actor("alice"), "template.manage", world.template)

    def test_who_has_the_rights_anyway_gets_no_grant(self, world):
        grants = Grant.objects.count()
        create_vm(actor=world.actor("root"), name="one", version=world.version)
        create_vm(actor=Actor.system("x"), name="two", version=world.version)
        assert Grant.objects.count() == grants

    def test_what_was_granted_on_an_object_goes_with_it(self, estate):
        vm = estate.sides["one"]["vm"]
        estate.world.grant(estate.world.alice, "vm-user", vm)
        Desktop.objects.filter(vm=vm).delete()
        VirtualMachine.objects.filter(pk=vm.pk).delete()
        assert not Grant.objects.filter(object_kind="vm").exists()


class TestExplaining:
    def test_each_way_is_told_with_its_role_group_and_place(self, estate):
        world, vm, cluster = estate.world, estate.sides["one"]["vm"], estate.sides["one"]["cluster"]
        world.grant(world.staff, "vm-user", cluster)
        world.grant(world.bob, "viewer", vm)
        Desktop.objects.filter(vm=vm).update(holder=world.bob, state="assigned")
        answers = {one.verb: one for one in rights(world.actor("root"), world.bob, vm)}
        ways = [(way.role, way.group, way.kind, way.name, way.inherited, way.lent) for way in answers["vm.view"].ways]
        assert sorted(ways) == [
            ("", "", "", "", False, True), ("viewer", "", "vm", "vm-one", False, False),
            ("vm-user", "staff", "cluster", "one", True, False),
        ]  # fmt: skip
        assert not answers["vm.delete"].allowed and not answers["vm.delete"].ways

    def test_what_the_asker_may_not_see_has_no_name(self, estate):
        world = estate.world
        world.grant(world.bob, "vm-user", estate.sides["one"]["vm"])
        world.grant(world.charlie, "user-admin")
        world.grant(world.charlie, "viewer", estate.sides["two"]["vm"])
        (way,) = next(one for one in rights(world.actor("charlie"), world.bob) if one.verb == "vm.use").ways
        assert (way.role, way.name, way.object_id) == ("vm-user", "", None)
        (way,) = next(one for one in rights(world.actor("bob"), world.bob) if one.verb == "vm.use").ways
        assert way.name == "vm-one"

    def test_who_is_disabled_may_do_nothing(self, estate):
        world = estate.world
        world.grant(world.bob, "operator")
        world.bob.is_active = False
        assert not any(one.allowed for one in rights(world.actor("root"), world.bob))

    def test_limits_are_those_that_count_for_the_person(self, world):
        for quota in (
            {"user": world.bob}, {"group": world.staff, "each": True}, {"user": world.alice},
            {"cluster": world.cluster}, {"user": world.bob, "cluster": world.cluster},
        ):  # fmt: skip
            Quota.objects.create(running=3, **quota)
        assert len(limits(world.actor("bob"), world.bob)) == 3
        world.grant(world.charlie, "user-admin")
        assert limits(world.actor("charlie"), world.bob) == []
        assert len(limits(world.actor("root"), world.bob)) == 3


def test_the_builtin_roles_hold_rights_that_there_are():
    for name, (_title, verbs) in BUILTIN.items():
        assert checked_verbs(verbs) == sorted(verbs), name


def test_the_auditor_has_every_right_to_see_and_no_other():
    verbs = BUILTIN["auditor"][1]
    assert {verb for verb in VERBS if covers(verbs, verb)} == {verb for verb in VERBS if verb.endswith(".view")}


def test_makers_see_only_what_they_made():
    for name in ("power-user", "vm-creator", "template-creator"):
        assert not covers(BUILTIN[name][1], "vm.view"), name


def test_a_stranger_cannot_ask_about_others(world):
    from broker.access.require import find

    with pytest.raises(Missing):
        find(world.actor("charlie"), User, world.bob.pk)
    assert find(world.actor("bob"), User, world.bob.pk) == world.bob


def test_every_right_that_the_code_asks_for_is_one_that_a_role_can_hold():
    """A verb with a typing error would be asked for in vain: nobody but an administrator could have it."""
    asking = {"require", "may", "find", "visible_to", "holds", "require_usable_by"}
    asked: dict[str, str] = {}
    for package in ("broker", "pools", "portal"):
        for path in (Path(__file__).resolve().parents[2] / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in asking:
                    for argument in node.args:
                        if isinstance(argument, ast.Constant) and "." in str(argument.value):
                            asked[argument.value] = str(path)
    assert len(asked) > 15
    assert {verb: path for verb, path in asked.items() if verb not in VERBS} == {}
