"""A desktop's own remote desktop for browsers: to whom and where it is offered, and where its password goes."""

from ipaddress import ip_network

import pytest

from broker.connections.actions import issue_ticket, set_console_policy
from broker.connections.models import ConsoleTicket, Session
from broker.connections.policy import policy_of
from broker.connections.rdp import in_browser
from broker.connections.rdp_login import RdpLogin, seal, unseal
from broker.core.errors import Conflict, Invalid
from broker.events.models import Event
from broker.settings import env

pytestmark = pytest.mark.django_db
LOGIN = RdpLogin("CORP\\alice", "Secret pw1", 1024, 768)


@pytest.fixture
def windows(setting, monkeypatch):
    monkeypatch.setattr(env, "rdp_networks", [ip_network("192.0.2.0/24")])
    setting.vm.guest = {"agent": True, "addresses": ["192.0.2.44"]}
    setting.vm.save()
    set_console_policy(actor=setting.world.actor("root"), obj=setting.vm, rdp=True)
    return setting


def test_the_password_is_sealed_until_the_ticket_is_used_and_then_gone(windows):
    secret = windows.ticket(kind="rdp", login=LOGIN)
    row = ConsoleTicket.objects.get()
    assert row.login and "Secret" not in row.login and "alice" not in row.login
    session, endpoint = windows.redeem(secret)
    assert (session.kind, session.purpose) == ("rdp", Session.Purpose.OWN)
    assert (endpoint.host, endpoint.port, endpoint.login) == ("192.0.2.44", 3389, LOGIN)
    assert endpoint.login.user_and_domain == ("alice", "CORP")
    assert "Secret" not in repr(endpoint) and "Secret" not in repr(LOGIN)
    assert ConsoleTicket.objects.get().login == ""
    assert not [event for event in Event.objects.all() if "Secret" in str(event.params) + event.message]


def test_a_ticket_in_the_wrong_hands_loses_its_password_too(windows):
    secret = windows.ticket(kind="rdp", login=LOGIN)
    with pytest.raises(Exception, match="foreign"):
        windows.redeem(secret, key="another sign-in")
    assert ConsoleTicket.objects.get().login == ""


@pytest.mark.parametrize("told", ["192.0.3.44", "127.0.0.1", "169.254.169.254", "nonsense", "192.0.2.44.evil"])
def test_what_a_guest_says_of_its_address_leads_no_gateway_elsewhere(windows, told):
    """S15: a guest that names another server would have the gateway knock there."""
    windows.vm.guest = {"agent": True, "addresses": [told]}
    windows.vm.save()
    with pytest.raises(Conflict) as refused:
        windows.ticket(kind="rdp", login=LOGIN)
    assert refused.value.rule == "console.rdp" and refused.value.fix
    # and one that changes its mind between the ticket and its use
    windows.vm.guest = {"agent": True, "addresses": ["192.0.2.44"]}
    windows.vm.save()
    secret = windows.ticket(kind="rdp", login=LOGIN)
    windows.vm.guest = {"agent": True, "addresses": [told]}
    windows.vm.save()
    with pytest.raises(Exception, match="unreachable"):
        windows.redeem(secret)


def test_nowhere_unless_networks_are_named_and_the_policy_offers_it(windows, monkeypatch):
    assert in_browser(windows.vm, policy_of(windows.vm)) == "192.0.2.44"
    windows.vm.power_state = "off"
    assert in_browser(windows.vm, policy_of(windows.vm)) == ""
    windows.vm.power_state = "running"
    monkeypatch.setattr(env, "rdp_networks", [])
    assert in_browser(windows.vm, policy_of(windows.vm)) == ""
    monkeypatch.setattr(env, "rdp_networks", [ip_network("192.0.2.0/24")])
    set_console_policy(actor=windows.world.actor("root"), obj=windows.vm, rdp=False)
    assert in_browser(windows.vm, policy_of(windows.vm)) == ""


def test_where_the_screen_is_recorded_it_is_offered_all_the_same_since_the_gateway_sees_it(windows):
    set_console_policy(actor=windows.world.actor("root"), obj=windows.vm, record=True)
    assert in_browser(windows.vm, policy_of(windows.vm)) == "192.0.2.44"


def test_a_password_goes_with_the_remote_desktop_and_with_nothing_else(windows):
    for kind, login in (("rdp", None), ("vnc", LOGIN), ("spice", LOGIN)):
        with pytest.raises(Invalid) as refused:
            windows.ticket(kind=kind, login=login)
        assert refused.value.field == "login"
    with pytest.raises(Invalid):
        issue_ticket(actor=windows.actor(), vm=windows.vm, kind="rdp", via="native", login=LOGIN)


@pytest.mark.parametrize(
    "given",
    [
        None, [], "alice", {}, {"username": "alice"}, {"username": "", "password": "x"},
        {"username": "alice", "password": ""}, {"username": "a\nb", "password": "x"},
        {"username": "alice", "password": "x\ny"}, {"username": "a\0", "password": "x"},
        {"username": "a" * 257, "password": "x"}, {"username": 7, "password": "x"},
        {"username": "alice", "password": "x", "width": "big"}, {"username": "alice", "password": "x", "height": True},
    ],
)  # fmt: skip
def test_what_is_no_sign_in_is_refused(given):
    with pytest.raises(Invalid) as refused:
        RdpLogin.of(given)
    assert refused.value.fix


def test_sizes_are_bounded_and_even():
    tiny = RdpLogin.of({"username": "alice", "password": "x", "width": 1, "height": -5})
    vast = RdpLogin.of({"username": "alice", "password": "x", "width": 10**9, "height": 10**9})
    assert (tiny.width, tiny.height, vast.width, vast.height) == (640, 480, 3840, 2160)
    assert RdpLogin.of({"username": "alice", "password": "x", "width": 1023, "height": 767}).width == 1022


def test_what_was_sealed_with_another_key_opens_nothing(settings):
    token = seal(LOGIN)
    assert unseal(token) == LOGIN
    settings.SECRET_KEY = "another"
    assert unseal(token) is None and unseal("nonsense") is None
