"""The file for remote-viewer."""

import configparser
import ssl
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from broker.access.models import Grant
from broker.connections.actions import (
    TicketRefused,
    end_session,
    issue_ticket,
    redeem_ticket,
    set_console_policy,
)
from broker.connections.blind import ticket_is_blind
from broker.connections.models import Session
from broker.connections.queries import must_end
from broker.connections.reconcile import tidy
from broker.connections.rules import NATIVE
from broker.connections.signing_out import end_native_of
from broker.connections.vv import offers_file, refusals, viewer_file
from broker.core.errors import Conflict, Missing
from broker.directories.models import User
from broker.events.models import Event
from broker.gateway import django_desk
from broker.gateway.desk import Presented, Target
from broker.gateway.django_desk import DjangoDesk
from broker.settings import env
from broker.virt.models import HostAgent, HostCertificate, VirtualMachine
from broker.virt.pki.authority import authority, issue, request_for, subject_of
from broker.virt.pki.consoles import SUBJECT, server_context
from pools.models import Desktop, Pool, SessionRules

from .conftest import GATEWAY, make_vm, sign_in

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
    assert values["enable-usbredir"] == "1"
    assert values["enable-usb-autoshare"] == values["enable-smartcard"] == values["fullscreen"] == "0"
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


def test_spice_comes_through_the_public_port_with_a_ticket_of_its_own(setting, settings):
    settings.ORIGINS = ["http://vdi.example:8000"]
    setting.vm.consoles = [{"kind": "vnc", "unix": "/x"}, {"kind": "spice", "unix": "/run/spice.sock"}]
    setting.vm.save()
    assert offers_file(setting.vm)
    parser = configparser.RawConfigParser()
    parser.read_string(viewer_file(setting.actor(), setting.vm))
    values = dict(parser["virt-viewer"])
    assert (values["type"], values["host"]) == ("spice", f"{setting.vm.pk}.berth.invalid")
    assert "port" not in values and values["tls-port"] == "5901", "in the clear it is not even tried"
    assert values["ca"].replace("\\n", "\n") == authority().certificate.strip()
    assert values["host-subject"] == "O=Berth,CN=consoles.berth.invalid"
    scheme, _, rest = values["proxy"].partition("://berth:")
    secret, _, address = rest.partition("@")
    assert (scheme, address, len(secret)) == ("http", "vdi.example:8000", 43)
    assert not Session.objects.exists(), "only using it opens a session"
    with pytest.raises(TicketRefused):
        setting.redeem(secret)
    secret = parse_secret(viewer_file(setting.actor(), setting.vm))
    machine = {"kind": "spice", "via": "native", "machine": str(setting.vm.pk)}
    options = {"actor": GATEWAY, "web_session": "", "address": None, "gateway": "g1"}
    session, endpoint = redeem_ticket(secret=secret, **machine, **options)
    assert (session.via, session.kind, endpoint.unix) == ("native", "spice", "/run/spice.sock")
    assert must_end({session.pk: ""}) == {}, "it needs no sign-in of its own"
    User.objects.update(is_active=False)
    assert must_end({session.pk: ""}) == {session.pk: "disabled"}
    with pytest.raises(TicketRefused):
        redeem_ticket(secret=secret, **machine, **options)


def parse_secret(text: str) -> str:
    parser = configparser.RawConfigParser()
    parser.read_string(text)
    return parser["virt-viewer"]["proxy"].partition("://berth:")[2].partition("@")[0]


def test_behind_a_proxy_there_is_no_way_in_unless_one_is_named(setting, settings):
    settings.ORIGINS = ["https://vdi.example"]
    setting.vm.consoles = [{"kind": "spice", "unix": "/run/spice.sock"}]
    assert not offers_file(setting.vm)


def test_a_spice_ticket_opens_spice_alone(setting):
    setting.vm.consoles = [{"kind": "spice", "unix": "/run/spice.sock"}]
    setting.vm.save()
    secret = setting.ticket(kind="spice")
    with pytest.raises(TicketRefused):
        setting.redeem(secret)
    session, _ = redeem_ticket(
        actor=GATEWAY, secret=setting.ticket(kind="spice"), web_session=setting.key, address=None, gateway="g1",
        kind="spice",
    )  # fmt: skip
    assert session.kind == "spice"


BOTH = [{"kind": "vnc", "unix": "/x"}, {"kind": "spice", "unix": "/run/spice.sock"}]


@pytest.mark.parametrize(
    ("policy", "consoles", "rule"),
    [
        ({"record": True}, BOTH, "console.recorded"),
        ({"speed": 512}, BOTH, "console.policy"),
        ({"clipboard": "in"}, BOTH, "console.policy"),
        ({"usb": False}, BOTH, None),
        ({"usb": False}, SCREEN, "console.policy"),
        ({"watermark": True}, SCREEN, None),
    ],
)
def test_what_the_policy_has_against_it_is_known_before_the_click(
    setting, settings, django_assert_num_queries, policy, consoles, rule
):
    settings.ORIGINS = ["http://vdi.example:8000"]
    setting.vm.consoles = consoles
    setting.vm.save()
    set_console_policy(actor=setting.world.actor("root"), obj=setting.vm, **policy)
    others = [make_vm(setting.world, f"other-{number}", consoles=consoles) for number in range(3)]
    with django_assert_num_queries(2):
        told = refusals([setting.vm, *others])
    assert set(told) == ({setting.vm.pk} if rule else set())
    if rule is None:
        text = viewer_file(setting.actor(), setting.vm)
        assert ("enable-usbredir=0" in text) is not policy.get("usb", True)
        return
    assert told[setting.vm.pk].rule == rule
    with pytest.raises(Conflict) as info:
        viewer_file(setting.actor(), setting.vm)
    assert (info.value.rule, info.value.message) == (rule, told[setting.vm.pk].text)


def test_signing_out_ends_what_files_of_that_sign_in_opened(setting, settings):
    settings.ORIGINS = ["http://vdi.example:8000"]
    setting.vm.consoles = BOTH
    setting.vm.save()
    second = make_vm(setting.world, "desk-2", consoles=BOTH)
    setting.world.grant(setting.world.alice, "vm-user", second)
    there = {"kind": "spice", "via": "native", "machine": str(setting.vm.pk)}
    options = {"actor": GATEWAY, "web_session": "", "address": None, "gateway": "g1"}
    tablet = setting.actor(key=sign_in(setting.world.alice))
    mine, theirs = (
        redeem_ticket(secret=parse_secret(viewer_file(actor, vm)), **there | {"machine": str(vm.pk)}, **options)[0]
        for actor, vm in ((setting.actor(), setting.vm), (tablet, second))
    )
    waiting = parse_secret(viewer_file(setting.actor(), setting.vm))
    assert end_native_of(setting.world.bob, setting.key) == 0, "the sign-in alone does not make it theirs"
    assert end_native_of(setting.world.alice, "") == 0
    assert end_native_of(setting.world.alice, setting.key) == 1
    assert must_end({mine.pk: "", theirs.pk: ""}) == {mine.pk: "signed-out"}
    with pytest.raises(TicketRefused):
        redeem_ticket(secret=waiting, **there, **options)


def test_signing_out_in_the_portal_reaches_them(setting, client):
    setting.vm.consoles = BOTH
    setting.vm.save()
    client.force_login(setting.world.alice)
    key = client.session.session_key
    ticket = issue_ticket(actor=setting.actor(key=key), vm=setting.vm, kind="spice", via="native").secret
    session, _ = redeem_ticket(
        secret=ticket, actor=GATEWAY, web_session="", address=None, gateway="g1", kind="spice", via="native",
        machine=str(setting.vm.pk),
    )  # fmt: skip
    client.post(reverse("portal:sign-out"))
    session.refresh_from_db()
    assert (session.state, session.close_reason) == ("ending", "signed-out")


BY_TLS = [{"kind": "vnc", "unix": "/x"}, {"kind": "spice", "host": "lab-a", "port": 5902, "tls": True}]


@pytest.fixture
def desk(monkeypatch):
    """A desk on the test's own database connection, which it must not close."""
    monkeypatch.setattr(django_desk, "close_old_connections", lambda: None)
    return DjangoDesk("g1")


@pytest.fixture
def sealed(setting, settings, monkeypatch):
    """A machine whose host speaks SPICE by TLS with a certificate of Berth's own."""
    settings.ORIGINS = ["http://vdi.example:8000"]
    monkeypatch.setattr(env, "console_ca_dir", "/etc/berth/consoles")
    setting.vm.consoles = BY_TLS
    setting.vm.save()
    host = setting.vm.host
    issued = issue(request_for(host.name)[1], name=host.name.lower())
    HostCertificate.objects.create(host=host, certificate=issued.certificate, until=issued.until)
    return setting


def values_of(text: str) -> dict[str, str]:
    parser = configparser.RawConfigParser()
    parser.read_string(text)
    return dict(parser["virt-viewer"])


def test_where_nothing_is_withheld_tls_goes_to_the_host_itself(sealed, desk):
    text = viewer_file(sealed.actor(), sealed.vm)
    values = values_of(text)
    assert (values["tls-port"], values["host"]) == ("5901", f"{sealed.vm.pk}.berth.invalid")
    assert values["host-subject"] == f"O=Berth host,CN={sealed.vm.host.name.lower()}"
    assert "lab-a" not in text.replace(values["host-subject"], ""), "the host's own address is nobody's to know"
    assert ticket_is_blind(parse_secret(text), str(sealed.vm.pk))
    assert not ticket_is_blind(parse_secret(text), "6f1e2a0c-0b5e-4d3f-9a58-6a3c2f1d0e01")
    assert not ticket_is_blind("x" * 43, str(sealed.vm.pk))
    presented = Presented(parse_secret(text), "", "192.0.2.1", kind="spice", via=NATIVE, machine=str(sealed.vm.pk))
    assert desk.leg(presented) is None
    admitted = desk.redeem(presented)
    assert admitted.blind == admitted.target == Target(host="lab-a", port=5902)


@pytest.mark.parametrize(
    "withhold",
    [
        lambda s: set_console_policy(actor=s.world.actor("root"), obj=s.vm, usb=False),
        lambda s: VirtualMachine.objects.update(consoles=BOTH) and agent_of(s, "1"),
        lambda s: HostCertificate.objects.all().delete(),
        lambda s: idle_rule(s),
    ],
    ids=["policy", "old agent", "not ours", "idle rule"],
)
def test_else_the_gateway_ends_it_and_looks(sealed, desk, withhold):
    """Both for a file that is made now and for a ticket that was made before."""
    before = parse_secret(viewer_file(sealed.actor(), sealed.vm))
    withhold(sealed)
    sealed.vm.refresh_from_db()
    values = values_of(viewer_file(sealed.actor(), VirtualMachine.objects.get(pk=sealed.vm.pk)))
    assert values["host-subject"] == "O=Berth,CN=consoles.berth.invalid"
    assert not ticket_is_blind(before, str(sealed.vm.pk))
    presented = Presented(before, "", "192.0.2.1", kind="spice", via=NATIVE, machine=str(sealed.vm.pk))
    assert isinstance(desk.leg(presented), ssl.SSLContext)
    assert desk.redeem(presented).blind is None


def agent_of(setting, version: str) -> None:
    HostAgent.objects.create(host=setting.vm.host, secret="-", told={"version": version})


def test_an_agent_ends_tls_where_the_screen_is_on_a_socket(sealed, desk):
    VirtualMachine.objects.update(consoles=BOTH)
    agent_of(sealed, "2")
    text = viewer_file(sealed.actor(), VirtualMachine.objects.get(pk=sealed.vm.pk))
    assert values_of(text)["host-subject"] == f"O=Berth host,CN={sealed.vm.host.name.lower()}"
    presented = Presented(parse_secret(text), "", "192.0.2.1", kind="spice", via=NATIVE, machine=str(sealed.vm.pk))
    assert desk.leg(presented) is None
    admitted = desk.redeem(presented)
    assert b'"spice"' in admitted.target.agent.opening, "who comes in the clear is looked into"
    assert b'"spice-tls"' in admitted.blind.agent.opening


def idle_rule(setting) -> None:
    world = setting.world
    pool = Pool.objects.create(name="watched", cluster=world.cluster, template=world.template, storage=world.storage)
    SessionRules.objects.create(pool=pool, idle="disconnect")
    Desktop.objects.create(
        number=1, state="assigned", pool=pool, vm=setting.vm, holder=setting.world.alice, held_since=timezone.now()
    )


def test_the_gateways_certificate_is_of_our_authority_and_kept(settings, tmp_path):
    settings.DATA_DIR = tmp_path
    context, again = server_context(), server_context()
    files = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "pki" / "consoles").glob("*.pem")}
    assert files == {"key.pem": 0o600, "cert.pem": 0o600, "ca.pem": 0o600}
    assert context is not again
    certificate = (tmp_path / "pki" / "consoles" / "cert.pem").read_text()
    assert subject_of(certificate) == SUBJECT
    server_context()
    assert (tmp_path / "pki" / "consoles" / "cert.pem").read_text() == certificate
