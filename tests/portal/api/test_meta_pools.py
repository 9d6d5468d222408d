"""Meta-pools by the API: made, changed, entitled, asked about; a desktop is taken, and why of that pool is told."""

import pytest

from broker.events.models import Event
from broker.virt.models import VirtualMachine
from pools.models import Desktop, MetaPool, PoolWaiter

pytestmark = pytest.mark.urls("tests.portal.api.urls")


@pytest.fixture
def pools(make_pool, make_desktop):
    made = [make_pool(name, size=1) for name in ("north", "south")]
    for pool in made:
        VirtualMachine.objects.filter(pk=make_desktop(pool, 1).vm.pk).update(power_state="running")
    return made


@pytest.fixture
def meta(caller, world, pools):
    root = caller("root")
    made = root.post("meta-pools/", {"name": "office", "title": "Office", "pools": [str(pool.pk) for pool in pools]})
    assert made.status_code == 201, made.content
    row = made.json()
    assert root.post(f"meta-pools/{row['id']}/entitlements/", {"user": str(world.alice.pk)}).status_code == 201
    return row


def test_it_is_made_changed_and_removed(caller, pools, meta):
    root = caller("root")
    assert [one["name"] for one in meta["pools"]] == [str(pool) for pool in pools]
    changed = root.patch(
        f"meta-pools/{meta['id']}/", {"policy": "most-free", "pools": [str(pools[1].pk)], "revision": meta["revision"]}
    )
    assert changed.status_code == 200
    assert (changed.json()["policy"], len(changed.json()["pools"])) == ("most-free", 1)
    assert root.patch(f"meta-pools/{meta['id']}/", {"title": "x", "revision": meta["revision"]}).status_code == 409
    assert root.get("meta-pools/").json()["results"][0]["name"] == "office"
    assert root.delete(f"meta-pools/{meta['id']}/").status_code == 204
    assert not MetaPool.objects.exists()


def test_who_may_use_it_takes_a_desktop_and_is_told_why_of_that_pool(caller, pools, meta):
    alice = caller("alice")
    assert alice.get(f"meta-pools/{meta['id']}/").json()["pools"] == [], "the pools behind it she does not see"
    assert alice.post(f"pools/{pools[0].pk}/take/").status_code == 404
    taken = alice.post(f"meta-pools/{meta['id']}/take/")
    assert taken.status_code == 200, taken.content
    answer = taken.json()
    assert (answer["state"], answer["pool"]["id"]) == ("ready", str(pools[0].pk))
    assert answer["why"]["looked_at"] == [], "no name of what she does not see"
    assert [(one["rule"], one["count"]) for one in answer["why"]["counts"]] == [("meta-pool.policy", 1)]
    again = alice.post(f"meta-pools/{meta['id']}/take/").json()
    assert (again["desktop"], again["why"]) == (answer["desktop"], None)
    (listed,) = caller("root").get("events/", kind="meta-pool.served").json()["results"]
    event = caller("root").get(f"events/{listed['id']}/").json()
    assert [one["name"] for one in event["why"]["looked_at"]] == [str(pools[1])]


def test_who_finds_none_waits_and_leaves(caller, world, pools, meta):
    Desktop.objects.update(state="assigned", holder=world.root)
    alice = caller("alice")
    place = alice.post(f"meta-pools/{meta['id']}/take/")
    assert (place.status_code, place.json()["position"]) == (202, 1)
    assert alice.post(f"meta-pools/{meta['id']}/leave/").status_code == 204
    assert not PoolWaiter.objects.exists()


def test_a_refusal_counts_what_the_caller_does_not_see(caller, pools, meta):
    for pool in pools:
        pool.state = "deleting"
        pool.save()
    answer = caller("alice").post(f"meta-pools/{meta['id']}/take/")
    assert answer.status_code == 503
    body = answer.json()
    assert body["rule"] == "meta-pool.members"
    assert [(one["kind"], one["rule"], one["count"]) for one in body["counts"]] == [("pool", "pool.open", 2)]
    assert "north" not in answer.content.decode()
    assert Event.objects.filter(kind="meta-pool.exhausted").exists()


def test_who_manages_it_asks_for_somebody(caller, world, meta):
    path = f"meta-pools/{meta['id']}/explain/"
    answer = caller("root").get(path, user=str(world.alice.pk)).json()
    assert (answer["works"], answer["tables"][0]["kind"], answer["tables"][0]["total"]) == (True, "pool", 2)
    assert caller("alice").get(path, user=str(world.alice.pk)).status_code == 403
    assert caller("root").get(path).status_code == 400


def test_entitlements_are_listed_and_taken_back(caller, meta):
    root = caller("root")
    rows = root.get(f"meta-pools/{meta['id']}/entitlements/").json()["results"]
    assert [row["user"]["name"] for row in rows] == ["alice"]
    assert root.delete(f"meta-pools/{meta['id']}/entitlements/{rows[0]['id']}/").status_code == 204
    assert caller("alice").post(f"meta-pools/{meta['id']}/take/").status_code == 404
