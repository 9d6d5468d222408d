"""Looking for LUNs: the form, what a look found, and a storage made of some of them; on pages and in the API."""

import pytest
from django.urls import reverse

from broker.core.errors import Conflict
from broker.jobs.models import Job
from broker.virt import storage_notes
from broker.virt.driver import Refused
from broker.virt.iscsi import look
from broker.virt.models import StorageDomain
from tests.jobs_help import run_all

IQN = "iqn.2026-01.org.example:store"
NOTE = storage_notes.seal(
    {"installation": "f" * 32, "berth": "other.example", "state": "attached", "storage": {"name": "san"}}, 3
)
FOUND = (
    look.Found(
        IQN,
        ("192.0.2.10:3260", "192.0.2.11:3260"),
        (
            look.Seen(1, 16 << 20, "blank"), look.Seen(2, 64 << 20, "blank"), look.Seen(3, 64 << 20, "ext"),
            look.Seen(4, 16 << 20, "table", "", (NOTE,)), look.Seen(5, 64 << 20, "volume", "web.qcow2", (NOTE,)),
        ),
    ),
    look.Found("iqn.2026-01.org.example:shut", ("192.0.2.10:3260",), problem=Refused("No %(who)s.", who="entry")),
)  # fmt: skip


@pytest.fixture
def portal(monkeypatch):
    """What the portal was asked with; it answers with FOUND."""
    asked = []

    def at(portal, **how):
        how.pop("progress")(0.5)
        asked.append((portal, how))
        return FOUND

    monkeypatch.setattr(look, "at", at)
    return asked


def test_from_the_portal_to_a_storage(site, portal):
    root = site.client("root")
    wish = {"cluster": site.world.cluster.pk, "portal": "192.0.2.10", "user": "berth", "password": "a-long-secret"}
    response = root.post(reverse("portal:luns"), wish)
    job = Job.objects.get(plan="cluster.look-iscsi")
    address = reverse("portal:luns-found", args=[job.pk])
    assert response.status_code == 302 and response["Location"] == address
    assert "a-long-secret" not in str(job.args) and "The portal is being asked." in root.get(address).content.decode()
    run_all()
    job.refresh_from_db()
    assert job.state == "succeeded" and job.args["secret"] == ""
    assert portal == [("192.0.2.10", {"user": "berth", "password": "a-long-secret"})]
    text = root.get(address).content.decode()
    for told in (
        "a file system (ext2, ext3 or ext4)", "used by another Berth (other.example): san", "No entry.", "web.qcow2",
    ):  # fmt: skip
        assert told in text
    use = reverse("portal:luns-use", args=[job.pk, 0])
    form = root.get(use).content.decode()
    assert 'value="1"' in form and 'value="2"' in form and 'value="3"' not in form and 'value="5"' not in form
    assert 'value="192.0.2.10, 192.0.2.11:3260"' in form
    values = {"name": "san", "luns": ["1", "2"], "server": "192.0.2.10, 192.0.2.11", "password": "a-long-secret"}
    assert root.post(use, values | {"luns": ["1", "5"]}).status_code == 400
    assert root.post(use, values).status_code == 302
    row = StorageDomain.objects.get(name="san")
    assert (row.kind, row.export, row.luns, row.user) == ("iscsi", IQN, [1, 2], "berth")
    assert row.server == "192.0.2.10,192.0.2.11"
    assert root.get(reverse("portal:luns-use", args=[job.pk, 9])).status_code == 404

    told = root.get(f"/api/v1/clusters/{site.world.cluster.pk}/iscsi-luns/").json()
    assert [one["name"] for one in told] == [one.name for one in FOUND]
    assert [(one["content"], one["holder"]) for one in told[0]["luns"]][2:4] == [
        ("ext", ""),
        ("table", "other.example"),
    ]
    assert told[0]["problem"] is None and told[1]["problem"]["message"] == "No entry."


def test_a_portal_that_does_not_answer_is_told_and_keeps_no_password(site, monkeypatch):
    def at(portal, **how):
        raise Conflict("Nobody is there.", fix="Switch it on.", rule="test")

    monkeypatch.setattr(look, "at", at)
    root = site.client("root")
    address = f"/api/v1/clusters/{site.world.cluster.pk}/iscsi-luns/"
    wish = {"portal": "192.0.2.10", "user": "berth", "password": "a-long-secret"}
    assert root.post(address, wish, content_type="application/json").status_code == 202
    run_all()
    job = Job.objects.get(plan="cluster.look-iscsi")
    assert (job.state, job.args["secret"]) == ("failed", "") and root.get(address).json() == []
    text = root.get(reverse("portal:luns-found", args=[job.pk])).content.decode()
    assert "Nobody is there." in text and "Switch it on." in text


@pytest.mark.parametrize(
    ("wrong", "field"),
    [({"portal": "-o x"}, "portal"), ({"user": "x"}, "password"), ({"portal": "nas:0"}, "portal")],
)
def test_what_cannot_be_right_is_told_at_its_field(site, wrong, field):
    values = {"cluster": site.world.cluster.pk, "portal": "192.0.2.10"} | wrong
    response = site.client("root").post(reverse("portal:luns"), values)
    assert response.status_code == 400 and f'id="id_{field}_error"' in response.content.decode()
    assert not Job.objects.filter(plan="cluster.look-iscsi").exists()


def test_others_see_no_look(site, portal):
    root = site.client("root")
    root.post(reverse("portal:luns"), {"cluster": site.world.cluster.pk, "portal": "192.0.2.10"})
    job = Job.objects.get(plan="cluster.look-iscsi")
    for who, status in (("alice", 404), ("charlie", 404)):
        client = site.client(who)
        assert client.get(reverse("portal:luns-found", args=[job.pk])).status_code == status
        assert client.get(f"/api/v1/clusters/{site.world.cluster.pk}/iscsi-luns/").status_code in (403, 404)
        assert client.get(reverse("portal:luns")).status_code == 403
