"""Deliveries to a real mail server and a real web server: at least once, signed, paced, and to no internal place."""

import hashlib
import hmac
import json
from datetime import timedelta

import pytest

from broker.access.actor import Actor
from broker.core import clock
from broker.core.errors import Conflict, Denied, Invalid, Missing
from broker.core.text import gettext_noop as N_
from broker.directories.languages import keep_language
from broker.events.models import Event
from broker.events.record import record
from broker.events.seal import seal
from broker.notifications import reconcile, targets
from broker.notifications.actions.create_subscription import create_subscription
from broker.notifications.actions.delete_subscription import delete_subscription
from broker.notifications.actions.edit_subscription import edit_subscription
from broker.notifications.actions.try_subscription import try_subscription
from broker.notifications.models import Subscription
from tests.notifications import servers

pytestmark = pytest.mark.django_db
SYSTEM = Actor.system("test")
KEY = "a key of some length"


@pytest.fixture
def smtp(settings):
    with servers.mail() as server:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", server.port
        settings.DEFAULT_FROM_EMAIL = "berth@example.org"
        yield server


@pytest.fixture
def hook(settings):
    settings.WEBHOOK_HOSTS = ["127.0.0.1"]
    with servers.web() as server:
        yield server


@pytest.fixture
def later(monkeypatch):
    """`later(seconds)`: so much time has passed."""
    began, passed = clock.now(), [0.0]
    monkeypatch.setattr("broker.core.clock.now", lambda: began + timedelta(seconds=passed[0]))

    def go(seconds):
        passed[0] += seconds

    return go


def happen(kind, later, **values):
    event = record(kind, actor=SYSTEM, message="It happened: %(what)s", **{"severity": "error", "what": kind} | values)
    later(6)
    seal()
    return event


def to_hook(world, hook, **values):
    values = {"name": "hook", "way": "webhook", "target": f"http://127.0.0.1:{hook.port}/in?x=1"} | values
    return create_subscription(actor=world.actor("root"), **values)


def test_a_webhook_is_signed_and_comes_once(world, hook, later):
    happen("vm.before", later)
    row = to_hook(world, hook, kinds=["vm.*"], secret=KEY, site=True)
    assert KEY not in row.secret
    happen("vm.started", later, subject=world.host)
    happen("host.lost", later)
    happen("vm.noted", later, severity="info")
    assert reconcile.deliver() == 1
    assert reconcile.deliver() == 0
    [(headers, body)] = hook.kept
    told = json.loads(body)
    assert [event["kind"] for event in told["events"]] == ["vm.started"]
    assert told["events"][0]["text"] == "It happened: vm.started" and told["delivery"] == headers["Berth-Delivery"]
    moment, _, mac = headers["Berth-Signature"].removeprefix("t=").partition(",v1=")
    assert mac == hmac.new(KEY.encode(), moment.encode() + b"." + body, hashlib.sha256).hexdigest()


def test_what_fails_is_tried_again_as_it_was_and_told_once(world, hook, later):
    row = to_hook(world, hook, kinds=["vm.*", "notification.*"])
    happen("vm.one", later)
    hook.failing = True
    reconcile.deliver()
    happen("vm.two", later)
    assert reconcile.deliver() == 0 and len(hook.kept) == 1  # not before its pause is over
    later(31)
    reconcile.deliver()
    later(61)
    hook.failing = False
    assert reconcile.deliver() == 1
    ids = {headers["Berth-Delivery"] for headers, _body in hook.kept}
    bodies = {body for _headers, body in hook.kept}
    assert len(hook.kept) == 3 and len(ids) == len(bodies) == 1
    seal()
    later(6)
    seal()
    reconcile.deliver()
    kinds = [event["kind"] for event in json.loads(hook.kept[-1][1])["events"]]
    assert "vm.two" in kinds and "vm.one" not in kinds
    assert Event.objects.filter(kind="notification.failed").count() == 1
    assert Event.objects.filter(kind="notification.works").count() == 1
    row.refresh_from_db()
    assert (row.failures, row.error) == (0, "")


def test_many_events_come_in_parts_and_none_is_lost(world, hook, later, monkeypatch):
    monkeypatch.setattr(reconcile, "MOST_EVENTS", 3)
    to_hook(world, hook, kinds=["vm.*"])
    for number in range(7):
        record("vm.x", actor=SYSTEM, message="%(n)s", n=number, severity="error")
    happen("vm.x", later, message_number=7)
    while reconcile.deliver():
        pass
    parts = [[event["position"] for event in json.loads(body)["events"]] for _headers, body in hook.kept]
    assert [len(part) for part in parts] == [3, 3, 2]
    positions = [position for part in parts for position in part]
    assert positions == sorted(set(positions))


def test_mail_is_gathered_to_one_a_minute(world, smtp, later):
    create_subscription(
        actor=world.actor("root"), name="Ops", way="mail", target="ops@example.org", severity="info", kinds=["vm.*"]
    )
    for number in range(60):
        record("vm.x", actor=SYSTEM, message="event %(n)s", n=number)
    happen("vm.x", later)
    assert reconcile.deliver() == 1
    happen("vm.y", later)
    assert reconcile.deliver() == 0
    later(60)
    assert reconcile.deliver() == 1
    (to, first), (_to, second) = smtp.kept
    assert to == "ops@example.org" and "Berth: 61 events (Ops)" in first
    assert first.count("(vm.x, test)") == 50 and "11 more" in first
    assert "vm.y" in second and "vm.x" not in second


def test_a_mail_is_in_the_language_that_its_owner_chose(world, smtp, later):
    world.grant(world.bob, "auditor")
    type(world.bob).objects.filter(pk=world.bob.pk).update(email="bob@example.org")
    create_subscription(actor=world.actor("bob"), name="mine", way="mail", target="bob@example.org", severity="info",
                        kinds=["vm.*"])  # fmt: skip
    create_subscription(actor=world.actor("root"), name="site", way="mail", target="ops@example.org", severity="info",
                        kinds=["vm.*"], site=True)  # fmt: skip
    keep_language(type(world.bob).objects.get(pk=world.bob.pk), "de")
    record("vm.created", actor=SYSTEM, message=N_("%(name)s was created on %(host)s"), name="desk", host="h")
    happen("vm.x", later)
    assert reconcile.deliver() == 2
    told = dict(smtp.kept)
    assert "Berth: 2 Ereignisse (mine)" in told["bob@example.org"]
    assert "desk wurde auf h erstellt" in told["bob@example.org"]
    assert "Berth: 2 events (site)" in told["ops@example.org"]
    assert "desk was created on h" in told["ops@example.org"]


def test_a_mail_server_that_refuses_is_shown(world, smtp, later):
    row = create_subscription(actor=world.actor("root"), name="Ops", way="mail", target="ops@example.org")
    smtp.failing = True
    happen("vm.x", later)
    reconcile.deliver()
    row.refresh_from_db()
    assert row.failures == 1 and "450" in row.error and row.cursor < row.until


def test_a_test_goes_out_without_moving_anything(world, hook, later):
    row = to_hook(world, hook)
    try_subscription(actor=world.actor("root"), subscription=row)
    assert reconcile.deliver() == 1
    told = json.loads(hook.kept[0][1])
    assert told["test"] is True and told["events"] == []
    hook.status = 302
    try_subscription(actor=world.actor("root"), subscription=row)
    reconcile.deliver()
    row.refresh_from_db()
    assert len(hook.kept) == 2 and "302" in row.error and not row.test_asked  # a redirect is not followed


@pytest.mark.parametrize(
    "target",
    ["https://127.0.0.1/", "https://[::1]/", "https://169.254.169.254/latest", "https://10.0.0.1/", "https://0.0.0.0/",
     "https://[::ffff:127.0.0.1]/", "https://[fe80::1]/", "https://224.0.0.1/", "http://example.org/", "ftp://example.org/",
     "https://user:word@example.org/", "https:///x", "https://exa mple.org/", "file:///etc/passwd", "https://example.org:99999/"],
)  # fmt: skip
def test_internal_targets_are_refused(world, target):
    with pytest.raises(Invalid):
        create_subscription(actor=world.actor("root"), name="x", way="webhook", target=target)


def test_a_name_that_leads_inside_is_refused_when_it_is_sent(world, hook, settings, later):
    row = to_hook(world, hook)
    settings.WEBHOOK_HOSTS = []
    Subscription.objects.update(target=f"https://localhost:{hook.port}/")
    happen("vm.x", later)
    reconcile.deliver()
    row.refresh_from_db()
    assert "inside" in row.error and not hook.kept
    assert targets.addresses("localhost", 1, ["127.0.0.0/8", "::1"])


def test_who_may_have_what(world, hook, smtp, later):
    mail = {"name": "mine", "way": "mail", "target": "bob@example.org"}
    with pytest.raises(Denied):
        create_subscription(actor=world.actor("bob"), **mail)
    world.grant(world.bob, "auditor")
    with pytest.raises(Invalid):  # not his address
        create_subscription(actor=world.actor("bob"), **mail)
    type(world.bob).objects.filter(pk=world.bob.pk).update(email="bob@example.org")
    row = create_subscription(actor=world.actor("bob"), **mail)
    with pytest.raises(Denied):
        create_subscription(actor=world.actor("bob"), **mail, site=True)
    with pytest.raises(Denied):
        create_subscription(actor=world.actor("bob"), name="x", way="webhook", target="https://example.org/")
    charlie = world.actor("charlie")
    with pytest.raises(Missing):
        try_subscription(actor=charlie, subscription=row)
    with pytest.raises(Missing):
        edit_subscription(actor=charlie, subscription=row, enabled=False)
    with pytest.raises(Missing):
        delete_subscription(actor=charlie, subscription=row)
    world.bob.grants.all().delete()
    happen("vm.x", later)
    assert reconcile.deliver() == 0 and not smtp.kept  # the right went, and with it what is told
    delete_subscription(actor=world.actor("root"), subscription=row)
    assert not Subscription.objects.exists()


def test_switched_off_it_is_silent_and_what_happened_meanwhile_is_not_told(world, hook, later):
    root = world.actor("root")
    row = edit_subscription(actor=root, subscription=to_hook(world, hook, kinds=["vm.*"]), enabled=False)
    happen("vm.x", later)
    assert reconcile.deliver() == 0
    edit_subscription(actor=root, subscription=row, enabled=True)
    happen("vm.y", later)
    reconcile.deliver()
    assert [event["kind"] for event in json.loads(hook.kept[0][1])["events"]] == ["vm.y"]


def test_without_a_mail_server_there_is_no_mail(world, settings):
    settings.EMAIL_HOST = ""
    with pytest.raises(Conflict):
        create_subscription(actor=world.actor("root"), name="x", way="mail", target="ops@example.org")
