"""Meta-pools: one card over several pools, gone through by policy, with the reason of each member that gave nothing."""

import pytest

from broker.core import clock
from broker.core.errors import Conflict, Denied, Invalid, Missing, NoCapacity, OverQuota
from broker.events.models import Event
from broker.virt.models import Cluster, Host
from pools import queue
from pools.actions.allocate import allocate
from pools.actions.allocate_meta import allocate_meta
from pools.actions.create_meta_pool import create_meta_pool
from pools.actions.delete_meta_pool import delete_meta_pool
from pools.actions.edit_meta_pool import edit_meta_pool
from pools.actions.entitle import entitle
from pools.actions.leave_meta_queue import leave_meta_queue
from pools.explain_meta import explain_meta_allocation
from pools.meta import POLICY, Given, Standing, in_order
from pools.meta_taking import take_or_wait_meta
from pools.models import Desktop, MetaPool, Pool, PoolWaiter
from pools.queue import Place
from pools.reconcile import reconcile_pool
from pools.serving import serve
from tests.pools.conftest import SYSTEM, free_rows

pytestmark = pytest.mark.django_db
CLOSED = [{"days": [(clock.now().weekday() + 3) % 7], "start": "08:00", "end": "09:00", "zone": "UTC"}]


@pytest.fixture
def pools(world, make_pool):
    """Three pools of two running desktops; Alice may use none of them by herself."""
    queue._outlooks.clear()
    made = [make_pool(name, size=2) for name in ("north", "south", "west")]
    for pool in made:
        free_rows(pool, world, 2)
    world.alice.grants.all().delete()
    return made


@pytest.fixture
def meta(world, pools):
    made = create_meta_pool(actor=SYSTEM, name="office", title="Office", pools=pools)
    entitle(actor=SYSTEM, pool=made, user=world.alice)
    return made


def take(world, meta, name: str = "alice"):
    return take_or_wait_meta(allocate_meta, actor=world.actor(name), meta=MetaPool.objects.get(pk=meta.pk))


def got(given) -> str:
    assert isinstance(given, Given)
    return given.allocation.desktop.pool.name


def rules(why) -> dict[str, str]:
    return {reason["subject"]: reason["rule"] for reason in why["reasons"]}


def emptied(*pools) -> None:
    Desktop.objects.filter(pool__in=pools).update(state="broken")


def closed(pool) -> None:
    Pool.objects.filter(pk=pool.pk).update(hours=CLOSED)


def test_the_first_in_the_order_serves_and_the_event_says_why_not_the_others(world, meta):
    given = take(world, meta)
    assert got(given) == "north"
    assert rules(given.why) == {"south": POLICY, "west": POLICY}
    event = Event.objects.get(kind="meta-pool.served")
    assert (event.subject_id, event.explanation["reasons"]) == (meta.pk, given.why["reasons"])


def test_what_cannot_serve_is_passed_over_with_its_rule(world, pools, meta):
    closed(pools[0])
    emptied(pools[1])
    given = take(world, meta)
    assert got(given) == "west"
    assert rules(given.why) == {"north": "pool.hours", "south": "pool.free"}


def test_a_pool_being_deleted_gives_nothing(world, pools, meta):
    Pool.objects.filter(pk=pools[0].pk).update(state="deleting")
    given = take(world, meta)
    assert (got(given), rules(given.why)["north"]) == ("south", "pool.open")


def test_a_cluster_in_maintenance_is_passed_over_unless_a_desktop_runs_there(world, pools, meta):
    other = Cluster.objects.create(name="other")
    Host.objects.create(cluster=other, name="host-2", driver="simulated", uri="sim://host-2", state="maintenance")
    Pool.objects.filter(pk=pools[0].pk).update(cluster=other)
    assert got(take(world, meta)) == "north", "what runs goes on running"
    Desktop.objects.filter(holder=world.alice).update(state="broken", holder=None)
    for desktop in Desktop.objects.filter(pool=pools[0]).select_related("vm"):
        desktop.vm.power_state = "off"
        desktop.vm.save()
    given = take(world, meta)
    assert (got(given), rules(given.why)["north"]) == ("south", "host.usable")
    assert not Desktop.objects.filter(pool=pools[0], state="assigned").exists(), "what was tried is taken back"


def test_who_has_one_goes_back_to_it_wherever_the_policy_points(world, pools, meta):
    emptied(pools[0])
    mine = take(world, meta).allocation.desktop
    Desktop.objects.filter(pool=pools[0]).update(state="free")
    again = take(world, meta)
    assert again.allocation.desktop == mine
    assert Desktop.objects.filter(holder=world.alice).count() == 1


def test_the_limit_counts_all_members_and_also_what_was_taken_beside_the_meta_pool(world, pools, meta):
    world.grant(world.alice, "pool-user", pools[2])
    beside = allocate(actor=world.actor("alice"), pool=pools[2]).desktop
    assert take(world, meta).allocation.desktop == beside
    edit_meta_pool(actor=SYSTEM, meta=meta, max_per_user=2)
    assert got(take(world, meta)) == "north"
    assert {take(world, meta).allocation.desktop.pk for _ in range(2)} <= set(
        Desktop.objects.filter(holder=world.alice).values_list("pk", flat=True)
    )
    assert Desktop.objects.filter(holder=world.alice).count() == 2


def test_a_members_own_limit_sends_on_to_the_next(world, pools, meta):
    edit_meta_pool(actor=SYSTEM, meta=meta, max_per_user=3)
    assert [got(take(world, meta)) for _ in range(3)] == ["north", "south", "west"]
    event = Event.objects.filter(kind="meta-pool.served").order_by("pk").last()
    assert rules(event.explanation) == {"north": "pool.max-per-user", "south": "pool.max-per-user"}


@pytest.mark.parametrize(
    ("policy", "order"),
    [("priority", ["big", "small", "full", "none"]), ("even", ["big", "small", "full", "none"]),
     ("most-free", ["big", "small", "full", "none"])],
)  # fmt: skip
def test_policies_order_members(policy, order):
    members = {
        "big": Standing(Pool(name="big", size=10), 1, 2, 8), "small": Standing(Pool(name="small", size=2), 2, 1, 1),
        "full": Standing(Pool(name="full", size=3), 3, 3, 0), "none": Standing(Pool(name="none", size=0), 4, 0, 0),
    }  # fmt: skip
    given = list(members.values()) if policy == "priority" else list(reversed(members.values()))
    if policy == "most-free":
        order = ["big", "small", "none", "full"]  # those alike stay as they were given
    assert [one.pool.name for one in in_order(policy, given)] == order


def test_even_spread_and_most_free_count_desktops(world, pools, meta):
    free_rows(Pool.objects.get(pk=pools[2].pk), world, 0)
    Desktop.objects.filter(pool=pools[0], number=1).update(state="assigned", holder=world.root)
    edit_meta_pool(actor=SYSTEM, meta=meta, policy="even")
    given = take(world, meta)
    assert got(given) == "south"
    told = {reason["subject"]: reason["params"] for reason in given.why["reasons"]}
    assert told == {"west": {"percent": "0"}, "north": {"percent": "50"}}
    Desktop.objects.filter(holder=world.alice).update(state="free", holder=None)
    Desktop.objects.filter(pool=pools[1], number=1).update(state="broken")
    edit_meta_pool(actor=SYSTEM, meta=meta, policy="most-free")
    assert got(take(world, meta)) == "west"


def test_when_none_can_the_refusal_names_each_member_and_is_written_down(world, pools, meta):
    for pool in pools:
        closed(pool)
    with pytest.raises(NoCapacity) as refused:
        take(world, meta)
    assert refused.value.rule == "meta-pool.members"
    assert {reason.subject: reason.rule for reason in refused.value.reasons} == dict.fromkeys(
        ("north", "south", "west"), "pool.hours"
    )
    assert Event.objects.get(kind="meta-pool.exhausted").explanation["rule"] == "meta-pool.members"
    assert not PoolWaiter.objects.exists(), "nobody waits for what does not come"


def test_over_quota_everywhere_is_told_as_that(world, pools, meta):
    from broker.access.models import Quota

    Quota.objects.create(user=world.alice, running=0)
    with pytest.raises(OverQuota):
        take(world, meta)


def test_who_waits_at_one_member_is_served_by_another(world, pools, meta):
    Desktop.objects.filter(pool=pools[0]).update(state="resetting")
    emptied(*pools[1:])
    place = take(world, meta)
    assert isinstance(place, Place)
    assert place.pool == pools[0]
    assert isinstance(take(world, meta), Place)
    assert not Event.objects.filter(kind="meta-pool.exhausted").count() > 1, "told once, not with each beat"
    Desktop.objects.filter(pool=pools[2]).update(state="free")
    assert got(take(world, meta)) == "west"
    assert not PoolWaiter.objects.exists(), "the place is given up"


def test_who_waits_needs_no_right_on_the_member_to_be_served_there(world, pools, meta):
    Desktop.objects.filter(pool=pools[0]).update(state="resetting")
    emptied(*pools[1:])
    assert isinstance(take(world, meta), Place)
    Desktop.objects.filter(pool=pools[0]).update(state="free")
    assert serve(Pool.objects.get(pk=pools[0].pk))
    given = take(world, meta)
    assert (got(given), given.allocation.desktop.holder) == ("north", world.alice)
    assert not PoolWaiter.objects.exists()


def test_who_loses_the_right_while_waiting_is_sent_away(world, pools, meta):
    Desktop.objects.filter(pool=pools[0]).update(state="resetting")
    emptied(*pools[1:])
    take(world, meta)
    world.alice.grants.all().delete()
    Desktop.objects.filter(pool=pools[0]).update(state="free")
    serve(Pool.objects.get(pk=pools[0].pk))
    assert not PoolWaiter.objects.exists()
    assert not Desktop.objects.filter(holder=world.alice).exists()


def test_nobody_overtakes_who_waits_in_a_members_own_queue(world, pools, meta):
    pool = pools[0]
    PoolWaiter.objects.create(pool=pool, user=world.bob)
    given = take(world, meta)
    assert (got(given), rules(given.why)["north"]) == ("south", "pool.free")


def test_a_member_that_closes_while_one_waits_there_gives_way_to_another(world, pools, meta):
    Desktop.objects.filter(pool__in=pools[:2]).update(state="resetting")
    emptied(pools[2])
    assert take(world, meta).pool == pools[0]
    closed(pools[0])
    assert take(world, meta).pool == pools[1]
    assert PoolWaiter.objects.count() == 1


def test_leaving_gives_up_the_place(world, pools, meta):
    Desktop.objects.filter(pool=pools[0]).update(state="resetting")
    emptied(*pools[1:])
    take(world, meta)
    assert leave_meta_queue(actor=world.actor("alice"), meta=meta)
    assert not leave_meta_queue(actor=world.actor("alice"), meta=meta)
    assert not PoolWaiter.objects.exists()


def test_a_dry_run_says_what_each_member_would_say_and_changes_nothing(world, pools, meta):
    closed(pools[0])
    emptied(pools[1])
    before = (Event.objects.count(), list(Desktop.objects.order_by("pk").values()))
    answer = explain_meta_allocation(actor=world.actor("root"), meta=meta, user=world.alice)
    assert dict(answer.params)["pool"] == "west"
    (table,) = answer.tables
    said = {line.name: [reason.rule for reason in line.refusals] for line in table.lines}
    assert said == {"north": ["pool.hours"], "south": ["pool.free"], "west": []}
    assert (Event.objects.count(), list(Desktop.objects.order_by("pk").values())) == before
    stranger = explain_meta_allocation(actor=world.actor("root"), meta=meta, user=world.charlie)
    assert stranger.refusal.rule == "access.right"


def test_the_right_on_a_meta_pool_is_none_on_its_members(world, pools, meta):
    with pytest.raises(Missing):
        allocate(actor=world.actor("alice"), pool=pools[0])
    with pytest.raises(Missing):
        take(world, meta, "charlie")


def test_who_adds_a_pool_must_manage_it(world, pools, meta):
    world.grant(world.charlie, "pool-admin", meta)
    with pytest.raises(Missing):
        edit_meta_pool(actor=world.actor("charlie"), meta=MetaPool.objects.create(name="own"), pools=pools)
    stranger = Pool.objects.create(
        name="theirs", cluster=world.cluster, template=world.template, storage=world.storage, title="Theirs"
    )
    with pytest.raises(Missing):
        edit_meta_pool(actor=world.actor("charlie"), meta=meta, pools=[*pools, stranger])
    world.grant(world.charlie, "pool-user", stranger)
    with pytest.raises(Denied):
        edit_meta_pool(actor=world.actor("charlie"), meta=meta, pools=[*pools, stranger])
    edited = edit_meta_pool(actor=world.actor("charlie"), meta=meta, pools=pools[1:])
    assert list(edited.pools.order_by("memberships__position")) == pools[1:], "taking one out needs no more"


def test_members_are_checked_and_kept_in_order(world, pools, meta):
    with pytest.raises(Invalid):
        edit_meta_pool(actor=SYSTEM, meta=meta, pools=[pools[0], pools[0]])
    with pytest.raises(Invalid):
        edit_meta_pool(actor=SYSTEM, meta=meta, policy="dice")
    with pytest.raises(Conflict):
        edit_meta_pool(actor=SYSTEM, meta=meta, revision=meta.revision + 1, title="x")
    with pytest.raises(Conflict):
        create_meta_pool(actor=SYSTEM, name="office", pools=[])
    edit_meta_pool(actor=SYSTEM, meta=meta, pools=list(reversed(pools)))
    assert got(take(world, meta)) == "west"


def test_deleting_it_leaves_pools_and_desktops(world, pools, meta):
    mine = take(world, meta).allocation.desktop
    delete_meta_pool(actor=SYSTEM, meta=meta)
    assert Pool.objects.count() == 3
    assert Desktop.objects.get(pk=mine.pk).holder == world.alice
    assert not world.alice.grants.exists(), "what was granted on it goes with it"


def test_pools_that_no_meta_pool_has_ask_nothing_about_any(world, pools, django_assert_num_queries):
    """The morning's statements stay what they were."""
    actor = world.actor("bob")
    allocate(actor=actor, pool=pools[0])  # whatever is read once is read
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(
        connection,
    ) as asked:
        allocate(actor=world.actor("root"), pool=pools[0])
        reconcile_pool(pools[0].pk)
    assert not [one["sql"] for one in asked if "pools_meta" in one["sql"]]
