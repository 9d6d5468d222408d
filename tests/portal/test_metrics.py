"""/metrics: who may read it, what it says, and that it costs the same however much there is."""

import pytest
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families

from broker.connections.models import TimingTotal
from broker.connections.timing_duty import BOUNDS
from pools.models import Desktop, Pool
from tests.portal.api.conftest import make_pool  # noqa: F401 - a fixture

pytestmark = pytest.mark.django_db


def scrape(**headers):
    answer = Client().get("/metrics", **headers)
    assert answer.status_code == 200
    assert answer["Content-Type"].startswith("text/plain")
    return {family.name: family for family in text_string_to_metric_families(answer.content.decode())}


def values(family, *labels):
    return {tuple(sample.labels[label] for label in labels): sample.value for sample in family.samples}


def test_this_computer_may_ask_and_no_other(world):
    assert Client().get("/metrics").status_code == 200
    assert Client().get("/metrics", REMOTE_ADDR="::1").status_code == 200
    for address in ("192.0.2.7", "", "2001:db8::1"):
        assert Client().get("/metrics", REMOTE_ADDR=address).status_code == 403
    assert Client().post("/metrics").status_code == 405


@pytest.mark.parametrize("name", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "Via"])
def test_what_a_proxy_passes_on_is_not_from_this_computer(world, name):
    assert Client().get("/metrics", headers={name: "127.0.0.1"}).status_code == 403


def test_with_a_token_only_the_token_counts(world, settings):
    settings.METRICS_TOKEN = "s3cret-töken"
    ask = Client().get
    assert ask("/metrics").status_code == 403
    assert ask("/metrics", headers={"Authorization": "Bearer wrong"}).status_code == 403
    assert ask("/metrics", headers={"Authorization": "Bearer"}).status_code == 403
    settings.METRICS_TOKEN = "s3cret"
    assert ask("/metrics", REMOTE_ADDR="192.0.2.7", headers={"Authorization": "Bearer s3cret"}).status_code == 200


def test_what_it_says(world, make_pool):  # noqa: F811
    pool = make_pool("seats")
    buckets = [0] * (len(BOUNDS) + 1)
    buckets[0], buckets[3], buckets[-1] = 2, 1, 1
    TimingTotal.objects.create(pool=str(pool.pk), phase="total", buckets=buckets, sum_ms=1234)
    found = scrape()
    waits = {
        (sample.name.rpartition("_")[2], sample.labels.get("le")): sample.value
        for sample in found["berth_time_to_desktop_seconds"].samples
    }
    assert waits[("bucket", "0.1")] == 2
    assert waits[("bucket", "1.0")] == 3
    assert waits[("bucket", "+Inf")] == waits[("count", None)] == 4
    assert waits[("sum", None)] == 1.234
    assert values(found["berth_hosts"], "is") == {("up",): 1, ("down",): 0, ("maintenance",): 0, ("asleep",): 0}
    assert values(found["berth_queue_length"], "pool") == {("seats",): 0}
    assert sum(values(found["berth_desktops"], "pool", "state").values()) == Desktop.objects.count()
    assert values(found["berth_jobs"], "state")[("queued",)] == 0


def test_the_same_number_of_queries_for_many_pools(world, make_pool, django_assert_num_queries):  # noqa: F811
    make_pool("first")
    for _ in range(2):
        with django_assert_num_queries(8):
            scrape()
        for number in range(5):
            more = make_pool(f"more-{number}") if not Pool.objects.filter(name=f"more-{number}").exists() else None
            if more:
                TimingTotal.objects.create(pool=str(more.pk), phase="boot", buckets=[1] * (len(BOUNDS) + 1), sum_ms=1)


def test_a_pool_that_is_gone_is_not_told(world):
    TimingTotal.objects.create(pool="00000000-0000-0000-0000-00000000dead", phase="boot", buckets=[1] * 17, sum_ms=1)
    assert not scrape()["berth_time_to_desktop_seconds"].samples
