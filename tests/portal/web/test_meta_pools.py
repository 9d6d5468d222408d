"""The pages of meta-pools: one card over several pools, waiting through it, and what an admin sees and sets."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from broker.core import clock
from pools.actions.create_meta_pool import create_meta_pool
from pools.actions.entitle import entitle
from pools.models import Desktop, MetaPool, Pool, PoolWaiter
from tests.pools.conftest import SYSTEM, free_rows

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}


@pytest.fixture
def second(site):
    """A second pool with a running desktop."""
    pool = Pool.objects.create(
        name="spare", title="Spare pool", cluster=site.world.cluster, template=site.world.template, size=1
    )
    free_rows(pool, site.world, 1)
    return pool


@pytest.fixture
def meta(site, second):
    """Charlie may use both pools through it, and neither by himself."""
    made = create_meta_pool(actor=SYSTEM, name="office", title="Office", pools=[site.pool, second])
    entitle(actor=SYSTEM, pool=made, user=site.world.charlie)
    return made


def url(name: str, meta: MetaPool) -> str:
    return reverse(f"portal:{name}", args=[meta.pk])


def all_taken(site) -> None:
    Desktop.objects.filter(holder__isnull=True).update(state="assigned", holder=site.world.root, held_since=clock.now())


def test_there_is_one_card_and_connect_gives_a_desktop_of_one_pool(site, meta):
    charlie = site.client("charlie")
    page = charlie.get("/").content.decode()
    assert f"card-meta-pool-{meta.pk}" in page
    assert "A desktop is running and waiting for you." in page
    assert "Desk pool" not in page, "the pools behind it are none of the user's business"
    answer = charlie.post(url("meta-pool-take", meta), headers=HTMX)
    assert answer["HX-Redirect"] == reverse("portal:console", args=[site.free.pk])
    assert f"card-meta-pool-{meta.pk}" not in charlie.get("/").content.decode(), "who has as many as allowed has theirs"


def test_who_has_nothing_else_goes_straight_to_it(site, meta):
    from tests.world import PASSWORD

    charlie = site.client("")
    site.world.charlie.set_password(PASSWORD)
    site.world.charlie.save()
    answer = charlie.post(reverse("portal:sign-in"), {"username": "charlie", "password": PASSWORD})
    assert answer["Location"] == reverse("portal:console", args=[site.free.pk])


def test_waiting_goes_by_the_meta_pool(site, second, meta):
    all_taken(site)
    charlie = site.client("charlie")
    assert "All desktops are in use" in charlie.get("/").content.decode()
    assert charlie.post(url("meta-pool-take", meta), headers=HTMX)["HX-Redirect"] == url("meta-pool-wait", meta)
    page = charlie.get(url("meta-pool-wait", meta)).content.decode()
    assert "You are 1st in the queue" in page
    assert url("meta-pool-beat", meta) in page
    assert url("meta-pool-wait", meta) in charlie.get("/").content.decode()
    assert "You are 1st" in charlie.post(url("meta-pool-beat", meta), headers=HTMX).content.decode()
    desktop = Desktop.objects.get(pool=second)
    Desktop.objects.filter(pk=desktop.pk).update(state="free", holder=None, held_since=None)
    answer = charlie.post(url("meta-pool-beat", meta), headers=HTMX)
    assert answer["HX-Redirect"] == reverse("portal:console", args=[desktop.pk]), "the other pool had one sooner"
    assert not PoolWaiter.objects.exists()


def test_waiting_no_longer(site, meta):
    all_taken(site)
    charlie = site.client("charlie")
    charlie.post(url("meta-pool-take", meta))
    assert charlie.post(url("meta-pool-leave", meta), headers=HTMX)["HX-Redirect"] == "/"
    assert "You are not waiting here" in charlie.get(url("meta-pool-wait", meta)).content.decode()
    assert not PoolWaiter.objects.exists()


def test_a_stranger_finds_nothing(site, meta):
    bob = site.client("bob")
    bob.raise_request_exception = False
    assert "Office" not in bob.get("/").content.decode()
    for name in ("take", "beat", "leave", "delete"):
        assert bob.post(url(f"meta-pool-{name}", meta)).status_code == 404, name
    for name in ("meta-pool", "meta-pool-wait", "meta-pool-edit", "meta-pool-explain"):
        assert bob.get(url(name, meta)).status_code == 404, name


def test_an_admin_makes_changes_asks_and_deletes(site, second):
    root = site.client("root")
    given = {
        "name": "office", "title": "Office", "policy": "even", "max_per_user": 2,
        "pool_1": site.pool.pk, "pool_3": second.pk,
    }  # fmt: skip
    answer = root.post(reverse("portal:meta-pool-new"), given)
    meta = MetaPool.objects.get()
    assert answer["Location"] == url("meta-pool", meta)
    assert list(meta.pools.order_by("memberships__position")) == [site.pool, second]
    twice = root.post(reverse("portal:meta-pool-new"), {**given, "name": "more", "pool_3": site.pool.pk})
    assert (twice.status_code, "A pool is named twice" in twice.content.decode()) == (400, True)
    form = root.get(url("meta-pool-edit", meta)).content.decode()
    assert "Evenly" in form
    answer = root.post(
        url("meta-pool-edit", meta),
        {**given, "revision": meta.revision, "title": "Offices", "pool_1": second.pk, "pool_3": ""},
    )
    assert answer["Location"] == url("meta-pool", meta)
    assert list(meta.pools.all()) == [second]
    page = root.get(url("meta-pool", meta)).content.decode()
    links = [f'href="{reverse("portal:pool", args=[pool.pk])}"' in page for pool in (second, site.pool)]
    assert ("Offices" in page, links) == (True, [True, False])
    assert "Offices" in root.get(reverse("portal:meta-pools")).content.decode()
    asked = root.get(url("meta-pool-explain", meta), {"user": "charlie"}).content.decode()
    assert "has no right to take a desktop of Offices" in asked
    assert root.post(url("meta-pool-delete", meta), headers=HTMX)["HX-Redirect"] == reverse("portal:meta-pools")
    assert not MetaPool.objects.exists()


def test_the_dry_run_names_the_pool_and_what_the_other_says(site, meta):
    Desktop.objects.filter(pool=site.pool).update(state="broken", holder=None)
    page = site.client("root").get(url("meta-pool-explain", meta), {"user": "charlie"}).content.decode()
    assert "would get spare-1 of Spare pool at once" in page
    assert "pool.free" in page


def test_the_number_of_queries_does_not_grow_with_meta_pools(site, meta, second):
    charlie = site.client("charlie")
    charlie.get("/")

    def asked() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert charlie.get("/").status_code == 200
        return len(queries)

    before = asked()
    for number in range(5):
        made = create_meta_pool(actor=SYSTEM, name=f"more-{number}", pools=[second])
        entitle(actor=SYSTEM, pool=made, user=site.world.charlie)
    assert asked() == before


def test_without_a_right_on_a_meta_pool_nothing_is_asked_about_any(site, meta):
    alice = site.client("alice")
    alice.get("/")
    with CaptureQueriesContext(connection) as queries:
        alice.get("/")
    assert not [query["sql"] for query in queries if "pools_metapool" in query["sql"]]


def test_what_is_booked_is_not_offered_to_whoever_comes(site, meta, second):
    Pool.objects.filter(pk=second.pk).update(booked=True)
    Desktop.objects.filter(pool=site.pool, holder__isnull=True).update(state="broken")
    page = site.client("charlie").get("/").content.decode()
    assert "All desktops are in use" in page
    Pool.objects.update(booked=True)
    assert "Its desktops are booked for a time." in site.client("charlie").get("/").content.decode()
