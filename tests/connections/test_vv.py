"""The file for remote-viewer."""

import configparser
from datetime import timedelta

import pytest
from django.utils import timezone

from broker.access.models import Grant
from broker.connections.actions import end_session
from broker.connections.models import Session
from broker.connections.reconcile import tidy
from broker.connections.vv import offers_file, viewer_file
from broker.core.errors import Conflict, Missing
from broker.directories.models import User
from broker.events.models import Event
from broker.virt.models import VirtualMachine

pytestmark = pytest.mark.django_db


def test_a_screen_behind_the_gateway_has_no_file_and_says_what_to_do(setting):
    assert not offers_file(setting.vm)
    with pytest.raises(Conflict) as info:
        viewer_file(setting.actor(), setting.vm)
    assert "browser" in info.value.fix


def test_the_file_names_the_screen_and_deletes_itself(setting):
    setting.vm.consoles = [
        {"kind": "vnc", "unix": "/x"},
        {"kind": "spice", "host": "h.example", "port": 5902, "tls": True},
    ]
    setting.vm.title = "Desk\nhost=evil.example"
    text = viewer_file(setting.actor(), setting.vm)
    parser = configparser.RawConfigParser()
    parser.read_string(text)
    values = dict(parser["virt-viewer"])
    assert values["type"] == "spice"
    assert values["host"] == "h.example"
    assert values["tls-port"] == "5902"
    assert values["delete-this-file"] == "1"
    assert not {"password", "token", "username"} & set(values)
    assert text.count("host=") == 2, "the second is within the title"
    assert values["title"] == "Deskhost=evil.example"


def test_a_stranger_gets_no_file(setting):
    with pytest.raises(Missing):
        viewer_file(setting.actor("charlie"), setting.vm)


SCREEN = [{"kind": "vnc", "unix": "/x"}, {"kind": "spice", "host": "h.example", "port": 5902, "tls": True}]


def test_a_file_counts_as_a_session_until_the_run_is_over(setting):
    setting.vm.consoles = SCREEN
    setting.vm.save()
    for _twice in range(2):
        viewer_file(setting.actor(), setting.vm)
    session = Session.objects.get()
    assert (session.via, session.state, session.address) == ("viewer", "open", "192.0.2.1")
    assert Event.objects.filter(kind="session.opened").count() == 1
    Session.objects.update(last_seen_at=timezone.now() - timedelta(hours=1))
    tidy()
    session.refresh_from_db()
    assert session.state == "open", "nobody vouches for it, and it goes on"
    VirtualMachine.objects.update(boot_id="another")
    tidy()
    session.refresh_from_db()
    assert (session.state, session.close_reason) == ("closed", "rebooted")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda s: VirtualMachine.objects.update(power_state="off"), "stopped"),
        (lambda s: User.objects.filter(username="alice").update(is_active=False), "disabled"),
        (lambda s: Grant.objects.all().delete(), "right-lost"),
        (lambda s: Session.objects.update(last_seen_at=timezone.now() - timedelta(hours=13)), "gone"),
        (lambda s: end_session(actor=s.actor(), session=Session.objects.get()), "ended"),
    ],
    ids=["off", "disabled", "right", "long ago", "ended"],
)
def test_what_ends_it(setting, change, reason):
    setting.vm.consoles = SCREEN
    setting.vm.save()
    viewer_file(setting.actor(), setting.vm)
    change(setting)
    tidy()
    assert Session.objects.get().close_reason == reason
