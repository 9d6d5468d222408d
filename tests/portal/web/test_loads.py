"""Charts of machines and hosts over every span, by page and by the API."""

from datetime import timedelta

import pytest
from django.urls import reverse

from broker.core import clock
from broker.virt.loads.book import put
from broker.virt.loads.slots import STEP, begin, slot
from broker.virt.models import HostLoad, MachineLoad
from broker.virt.models.load import FIGURES, Span

SPANS = {
    "day": (Span.MINUTE, 1440),
    "week": (Span.HOUR, 168),
    "60-days": (Span.HOUR, 1440),
    "5-years": (Span.DAY, 1825),
}


def fill(model, owner, span, count=3):
    """The last `count` slots: processor 1 %, 2 %, … of them."""
    moments = [begin(span, clock.now()) - STEP[span] * (count - 1 - number) for number in range(count)]
    put([
        model(owner=owner, span=span, slot=slot(span, at), at=at, **(dict.fromkeys(FIGURES, 1 << 20) | {
            "cpu_avg": number % 60 + 1, "cpu_max": number % 60 + 30}))
        for number, at in enumerate(moments)
    ])  # fmt: skip


@pytest.mark.parametrize("name", SPANS)
def test_the_page_of_a_machine_shows_the_span_that_is_asked_for(site, name):
    span, count = SPANS[name]
    fill(MachineLoad, site.server, span)
    response = site.client("root").get(reverse("portal:vm", args=[site.server.pk]), {"range": name})
    charts = response.context["page"].charts
    assert [tab.query for tab in charts.tabs if tab.current] == [f"?range={name}"]
    assert len(charts.series["x"]) == len(charts.series["cpu_high"]) == count
    assert charts.series["cpu"][-4:] == [None, 1, 2, 3] and charts.known
    assert "cpu,cpu_high" in response.content.decode()


def test_without_a_span_there_are_the_readings_of_two_hours(site):
    for query in ({}, {"range": "nonsense"}):
        charts = site.client("root").get(reverse("portal:vm", args=[site.server.pk]), query).context["page"].charts
        assert charts.live and charts.series["cpu"] == [7, 7]


def test_the_page_of_a_host_has_its_charts(site):
    fill(HostLoad, site.world.host, Span.MINUTE)
    url = reverse("portal:host", args=[site.world.host.pk])
    charts = site.client("root").get(url).context["charts"]
    assert charts.series["cpu"][-3:] == [1, 2, 3] and len(charts.tabs) == 4
    assert not site.client("root").get(url, {"range": "week"}).context["charts"].known


def test_the_api_tells_what_is_known_to_who_may_see_it(site):
    fill(MachineLoad, site.desktop, Span.HOUR, 2)
    fill(HostLoad, site.world.host, Span.DAY, 1)
    address = f"/api/v1/vms/{site.desktop.pk}/loads/"
    answer = site.client("alice").get(address, {"range": "week"}).json()
    assert (answer["step_seconds"], [point["cpu_avg"] for point in answer["points"]]) == (3600, [1, 2])
    assert set(answer["points"][0]) == {"at", *FIGURES}
    assert site.client("alice").get(address, {"range": "ever"}).status_code == 400
    assert site.client("charlie").get(address).status_code == 404
    host = f"/api/v1/hosts/{site.world.host.pk}/loads/"
    assert len(site.client("root").get(host, {"range": "5-years"}).json()["points"]) == 1
    assert site.client("alice").get(host).status_code == 404
    assert timedelta(seconds=answer["step_seconds"]) == STEP[Span.HOUR]
