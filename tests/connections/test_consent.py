"""Whose screen it is: consent to look on or help, shared links, one device at a time, messages."""

from datetime import timedelta

import pytest

from broker.access.actor import Actor
from broker.connections.actions import (
    TicketRefused,
    answer_help,
    ask_help,
    create_share,
    end_help,
    end_sessions_of,
    end_share,
    issue_ticket,
    open_share,
    read_message,
    redeem_ticket,
    send_message,
)
from broker.connections.consent import OpenElsewhere, hidden_from
from broker.connections.finding import helps, messages, shares
from broker.connections.models import Help, Message, Session, Share
from broker.connections.queries import must_end
from broker.connections.reconcile import tidy
from broker.connections.rules import NATIVE, SHARES_PER_VM
from broker.connections.vv import viewer_file
from broker.core import clock
from broker.core.errors import Conflict, Denied, Invalid, Missing, OverQuota
from broker.directories.models import User
from broker.events.models import Event
from broker.virt.models import VirtualMachine

from .conftest import GATEWAY, sign_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def keys(setting):
    """Sign-ins of the others."""
    return {name: sign_in(getattr(setting.world, name)) for name in ("bob", "root", "charlie")}


def actor(setting, keys, name: str) -> Actor:
    return setting.actor(name, key=keys[name])


def redeem(secret: str, key: str) -> Session:
    session, _endpoint = redeem_ticket(actor=GATEWAY, secret=secret, web_session=key, address="192.0.2.9", gateway="g1")
    return session


def refused(secret: str, key: str) -> str:
    with pytest.raises(TicketRefused) as info:
        redeem(secret, key)
    return str(info.value.reason)


@pytest.fixture
def allowed(setting, keys):
    """Alice sits at her machine and let root look on."""
    setting.open()
    help = ask_help(actor=actor(setting, keys, "root"), session=Session.objects.get())
    return answer_help(actor=setting.actor(), help=help, allow=True)


class TestHelp:
    def test_an_administrator_sees_nothing_without_consent(self, setting, keys):
        setting.open()
        root = actor(setting, keys, "root")
        assert hidden_from(root, setting.vm)
        for attempt in (
            lambda: issue_ticket(actor=root, vm=setting.vm),
            lambda: issue_ticket(actor=root, vm=setting.vm, view_only=True),
            lambda: viewer_file(root, setting.vm),
            lambda: create_share(actor=root, vm=setting.vm),
        ):
            with pytest.raises(Denied):
                attempt()

    def test_a_question_is_not_an_answer(self, setting, keys):
        setting.open()
        root = actor(setting, keys, "root")
        help = ask_help(actor=root, session=Session.objects.get())
        with pytest.raises(Denied):
            issue_ticket(actor=root, vm=setting.vm, help=help)
        with pytest.raises(Denied):
            answer_help(actor=root, help=help, allow=True)
        with pytest.raises(Conflict):
            ask_help(actor=root, session=Session.objects.get())

    def test_who_was_let_in_to_look_only_looks(self, setting, keys, allowed):
        ticket = issue_ticket(actor=actor(setting, keys, "root"), vm=setting.vm, help=allowed, view_only=False)
        assert ticket.view_only
        session = redeem(ticket.secret, keys["root"])
        assert (session.view_only, session.purpose) == (True, "look")
        assert must_end({session.pk: keys["root"]}) == {}

    def test_the_consent_is_anothers_for_nobody_else(self, setting, keys, allowed):
        setting.world.grant(setting.world.bob, "operator")
        with pytest.raises(Denied):
            issue_ticket(actor=actor(setting, keys, "bob"), vm=setting.vm, help=allowed)

    def test_ending_it_ends_the_screen_and_the_unused_ticket(self, setting, keys, allowed):
        root = actor(setting, keys, "root")
        session = redeem(issue_ticket(actor=root, vm=setting.vm, help=allowed).secret, keys["root"])
        unused = issue_ticket(actor=root, vm=setting.vm, help=allowed).secret
        end_help(actor=setting.actor(), help=allowed)
        assert must_end({session.pk: keys["root"]}) == {session.pk: "consent-ended"}
        assert refused(unused, keys["root"]) == "consent-ended"
        with pytest.raises(Denied):
            issue_ticket(actor=root, vm=setting.vm, help=allowed)
        with pytest.raises(Conflict):
            answer_help(actor=setting.actor(), help=allowed, allow=True)

    def test_a_question_lapses_and_a_consent_ends_when_the_person_has_left(self, setting, keys, allowed):
        other = Help.objects.create(vm=setting.vm, helper=setting.world.bob, asked_of=setting.world.alice)
        tidy()
        assert set(Help.objects.values_list("state", flat=True)) == {"asked", "allowed"}
        long_ago = clock.now() - timedelta(minutes=3)
        Help.objects.update(asked_at=long_ago)
        Help.objects.filter(state="allowed").update(answered_at=long_ago)
        tidy()
        other.refresh_from_db()
        allowed.refresh_from_db()
        assert (other.state, allowed.state) == ("lapsed", "allowed")
        Session.objects.update(state="closed")
        tidy()
        allowed.refresh_from_db()
        assert allowed.state == "ended"

    def test_taking_the_machine_back_ends_consents_and_links(self, setting, keys, allowed):
        share = create_share(actor=setting.actor(), vm=setting.vm).share
        end_sessions_of(actor=Actor.system("pools"), vm=setting.vm.pk)
        allowed.refresh_from_db()
        share.refresh_from_db()
        assert allowed.state == "ended" and share.ended_at is not None

    def test_who_may_not_use_the_machine_may_not_ask(self, setting, keys):
        session = setting.open()
        for name in ("bob", "charlie"):
            with pytest.raises(Missing):
                ask_help(actor=actor(setting, keys, name), session=session)
        with pytest.raises(Conflict):
            ask_help(actor=setting.actor(), session=session)
        with pytest.raises(Invalid):
            ask_help(actor=actor(setting, keys, "root"), session=session, level="everything")

    def test_others_may_neither_answer_nor_end(self, setting, keys, allowed):
        for name in ("bob", "charlie"):
            assert not helps(actor(setting, keys, name)).exists()
            with pytest.raises(Missing):
                end_help(actor=actor(setting, keys, name), help=allowed)
            with pytest.raises(Missing):
                answer_help(actor=actor(setting, keys, name), help=allowed, allow=False)
        end_help(actor=actor(setting, keys, "root"), help=allowed)


class TestShare:
    def test_only_a_hash_is_kept_and_the_link_is_bound_to_who_followed_it(self, setting, keys):
        made = create_share(actor=setting.actor(), vm=setting.vm)
        assert len(made.secret) >= 43 and made.secret not in repr(made)
        assert made.secret not in str(Share.objects.values())
        assert made.secret not in str(list(Event.objects.values()))
        bob = actor(setting, keys, "bob")
        with pytest.raises(Denied):
            issue_ticket(actor=bob, vm=setting.vm, share=made.share)
        share = open_share(actor=bob, secret=made.secret)
        ticket = issue_ticket(actor=bob, vm=setting.vm, share=share)
        assert ticket.view_only
        session = redeem(ticket.secret, keys["bob"])
        assert session.purpose == "share"
        assert must_end({session.pk: keys["bob"]}) == {}
        with pytest.raises(Denied):
            issue_ticket(actor=actor(setting, keys, "charlie"), vm=setting.vm, share=share)

    def test_it_ends_with_one_click_and_by_itself(self, setting, keys):
        made = create_share(actor=setting.actor(), vm=setting.vm, level="control", minutes=5)
        bob = actor(setting, keys, "bob")
        share = open_share(actor=bob, secret=made.secret)
        session = redeem(issue_ticket(actor=bob, vm=setting.vm, share=share).secret, keys["bob"])
        assert not session.view_only
        unused = issue_ticket(actor=bob, vm=setting.vm, share=share).secret
        Share.objects.update(expires_at=clock.now())
        assert must_end({session.pk: keys["bob"]}) == {session.pk: "consent-ended"}
        Share.objects.update(expires_at=clock.now() + timedelta(minutes=5))
        with pytest.raises((Denied, Missing)):
            end_share(actor=bob, share=share)
        end_share(actor=setting.actor(), share=share)
        assert refused(unused, keys["bob"]) == "consent-ended"
        assert must_end({session.pk: keys["bob"]}) == {session.pk: "consent-ended"}
        with pytest.raises(Missing):
            open_share(actor=actor(setting, keys, "charlie"), secret=made.secret)
        with pytest.raises(Conflict):
            end_share(actor=setting.actor(), share=share)

    def test_a_link_gives_no_more_than_its_owner_has(self, setting, keys):
        from broker.access.models import Grant

        made = create_share(actor=setting.actor(), vm=setting.vm)
        bob = actor(setting, keys, "bob")
        share = open_share(actor=bob, secret=made.secret)
        session = redeem(issue_ticket(actor=bob, vm=setting.vm, share=share).secret, keys["bob"])
        Grant.objects.filter(user=setting.world.alice).delete()
        assert must_end({session.pk: keys["bob"]}) == {session.pk: "consent-ended"}
        with pytest.raises(Missing):
            open_share(actor=actor(setting, keys, "charlie"), secret=made.secret)

    @pytest.mark.parametrize("secret", ["", "x", "x" * 5000, "\0", None, 7])
    def test_a_wrong_link_opens_nothing(self, setting, keys, secret):
        create_share(actor=setting.actor(), vm=setting.vm)
        with pytest.raises(Missing):
            open_share(actor=actor(setting, keys, "bob"), secret=secret)

    def test_who_may_make_one_and_how_many(self, setting, keys):
        with pytest.raises(Missing):
            create_share(actor=actor(setting, keys, "bob"), vm=setting.vm)
        for wrong in ({"level": "all"}, {"minutes": 0}, {"minutes": 100_000}, {"minutes": True}, {"minutes": "5"}):
            with pytest.raises(Invalid):
                create_share(actor=setting.actor(), vm=setting.vm, **wrong)
        for _number in range(SHARES_PER_VM):
            create_share(actor=setting.actor(), vm=setting.vm)
        with pytest.raises(OverQuota):
            create_share(actor=setting.actor(), vm=setting.vm)
        assert not shares(actor(setting, keys, "bob")).exists()


class TestOneDevice:
    def test_a_second_device_asks_and_takes_over(self, setting):
        first = setting.open()
        tablet = sign_in(setting.world.alice)
        there = setting.actor(key=tablet)
        with pytest.raises(OpenElsewhere) as info:
            issue_ticket(actor=there, vm=setting.vm)
        assert info.value.params["since"]
        second = redeem(issue_ticket(actor=there, vm=setting.vm, take_over=True).secret, tablet)
        assert must_end({first.pk: setting.key, second.pk: tablet}) == {first.pk: "replaced"}

    def test_a_session_without_a_gateway_is_on_no_device(self, setting):
        setting.open()
        Session.objects.update(last_seen_at=clock.now() - timedelta(seconds=25))
        issue_ticket(actor=setting.actor(key=sign_in(setting.world.alice)), vm=setting.vm)

    def test_who_took_over_is_not_asked_again(self, setting):
        """The first one's gateway died: nobody ends its session, and it was vouched for a moment ago."""
        setting.open()
        tablet = sign_in(setting.world.alice)
        there = setting.actor(key=tablet)
        redeem(issue_ticket(actor=there, vm=setting.vm, take_over=True).secret, tablet)
        redeem(issue_ticket(actor=there, vm=setting.vm).secret, tablet)

    def test_asking_alone_ends_nothing(self, setting):
        first = setting.open()
        tablet = sign_in(setting.world.alice)
        issue_ticket(actor=setting.actor(key=tablet), vm=setting.vm, take_over=True)
        assert must_end({first.pk: setting.key}) == {}

    def test_spice_shows_the_screen_in_one_place(self, setting):
        """QEMU drops who was there: told so, the page there does not come back by itself and drop the new one."""
        both = [{"kind": kind, "unix": f"/run/{kind}.sock"} for kind in ("vnc", "spice")]
        VirtualMachine.objects.filter(pk=setting.vm.pk).update(consoles=both)
        setting.vm.refresh_from_db()

        def spice(via: str):
            secret = setting.ticket(kind="spice", via=via)
            machine, key = (str(setting.vm.pk), "") if via == NATIVE else ("", setting.key)
            return redeem_ticket(
                actor=GATEWAY, secret=secret, web_session=key, address="192.0.2.1", gateway="g1", kind="spice", via=via,
                machine=machine,
            )[0]  # fmt: skip

        looked_at = setting.open()
        for before, after in (("browser", "browser"), ("browser", NATIVE), (NATIVE, "browser"), (NATIVE, NATIVE)):
            first, second = spice(before), spice(after)
            endings = must_end({one.pk: "" if one.via == NATIVE else setting.key for one in (looked_at, first, second)})
            assert endings == {first.pk: "replaced"}, (before, after)
            Session.objects.filter(kind="spice").delete()

    def test_a_second_window_of_the_same_browser_is_no_other_device(self, setting):
        first, second = setting.open(), setting.open()
        assert must_end({first.pk: setting.key, second.pk: setting.key}) == {}


def test_who_was_there_before_it_was_given_to_somebody_loses_the_screen(setting, keys):
    from pools.models import Desktop, Pool

    world = setting.world
    session = redeem(issue_ticket(actor=actor(setting, keys, "root"), vm=setting.vm).secret, keys["root"])
    assert must_end({session.pk: keys["root"]}) == {}
    pool = Pool.objects.create(
        name="p", title="P", cluster=world.cluster, template=world.template, storage=world.storage
    )
    Desktop.objects.create(
        vm=setting.vm, pool=pool, number=1, state="assigned", holder=world.alice, held_since=clock.now()
    )
    assert must_end({session.pk: keys["root"]}) == {session.pk: "right-lost"}


def test_input_is_written_down_for_those_who_typed(setting):
    one, two = setting.open(), setting.open(view_only=True)
    must_end({one.pk: setting.key, two.pk: setting.key}, [one.pk, two.pk])
    assert Session.objects.get(pk=one.pk).last_input_at is not None
    assert Session.objects.get(pk=two.pk).last_input_at is None


class TestMessages:
    def test_it_reaches_the_person_once(self, setting, keys):
        session = setting.open()
        message = send_message(actor=actor(setting, keys, "root"), session=session, text="  Save your work  ")
        assert message.text == "Save your work"
        assert messages(setting.actor()).get() == message
        read_message(actor=setting.actor(), message=message)
        first = Message.objects.get().read_at
        read_message(actor=setting.actor(), message=message)
        assert Message.objects.get().read_at == first is not None

    def test_who_may_write_and_what_is_refused(self, setting, keys):
        session = setting.open()
        with pytest.raises(Denied):
            send_message(actor=setting.actor(), session=session, text="x")
        with pytest.raises(Missing):
            send_message(actor=actor(setting, keys, "bob"), session=session, text="x")
        root = actor(setting, keys, "root")
        for wrong in ("", "   ", "x" * 501, "a\0b", "a\u202eb"):
            with pytest.raises(Invalid):
                send_message(actor=root, session=session, text=wrong)
        message = send_message(actor=root, session=session, text="x")
        with pytest.raises(Missing):
            read_message(actor=actor(setting, keys, "charlie"), message=message)
        Session.objects.update(state="closed")
        with pytest.raises(Conflict):
            send_message(actor=root, session=session, text="x")


def test_a_disabled_guest_is_out(setting, keys):
    made = create_share(actor=setting.actor(), vm=setting.vm)
    bob = actor(setting, keys, "bob")
    share = open_share(actor=bob, secret=made.secret)
    session = redeem(issue_ticket(actor=bob, vm=setting.vm, share=share).secret, keys["bob"])
    User.objects.filter(username="bob").update(is_active=False)
    assert must_end({session.pk: keys["bob"]}) == {session.pk: "disabled"}
