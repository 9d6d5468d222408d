"""Who is signed on in the guest of a desktop, and who never is; what becomes of it when the guest says no."""

from datetime import timedelta

import pytest

from broker.celery import app
from broker.connections import signing_on, tasks
from broker.connections.actions import answer_help, ask_help, set_console_policy
from broker.connections.models import ConsolePolicy, Session, SignOn
from broker.connections.policy import policy_of
from broker.core import clock
from broker.core.errors import Conflict
from broker.directories.models import Directory, User
from broker.events.models import Event
from broker.virt import guest_sign_on
from broker.virt.driver import GuestRun, HostUnreachable, Refused, Unsupported
from broker.virt.models import VirtualMachine
from pools.models import Desktop, Sitting
from tests.portal.api.conftest import make_pool  # noqa: F401 - a fixture

pytestmark = pytest.mark.django_db


class Helper:
    """Stands in for the guest: what was said to it, and what it answers."""

    def __init__(self, monkeypatch):
        self.said: list[tuple[str, ...]] = []
        self.answers = {
            "ask": GuestRun(0, "ab" * 16), "begin": GuestRun(0, "signed-on"), "status": GuestRun(0, "present"),
            "unlock": GuestRun(0, "unlocked"), "end": GuestRun(0, "ended"),
        }  # fmt: skip
        self.before = lambda verb: None
        monkeypatch.setattr(guest_sign_on.guest_orders, "run", self.run)

    def run(self, vm, script, name, *, patience, sleep):
        words = script.splitlines()[1].split()[2:]
        self.before(words[0])
        self.said.append(tuple(words))
        answer = self.answers[words[0]]
        if isinstance(answer, Exception):
            raise answer
        return answer

    @property
    def verbs(self):
        return [words[0] for words in self.said]


@pytest.fixture
def helper(monkeypatch):
    monkeypatch.setattr(signing_on, "_send", lambda pk: None)
    return Helper(monkeypatch)


@pytest.fixture
def desk(setting, make_pool):  # noqa: F811
    """Alice's desktop in a pool that signs people on."""
    pool = make_pool("seats")
    Desktop.objects.create(
        vm=setting.vm, pool=pool, number=1, state="assigned", holder=setting.world.alice, held_since=clock.now()
    )
    set_console_policy(actor=setting.world.actor("root"), obj=pool, sign_on="agent")
    return setting


def ended(session) -> SignOn:
    """The row of the session, when what is due of it now was done."""
    signing_on.carry_out(session.pk, sleep=lambda seconds: None)
    return SignOn.objects.get(session=session)


def again(row: SignOn, *, asked: float = 0, begun: float | None = None) -> SignOn:
    """The same when its time has come again, so many seconds after it was asked for and begun."""
    now = clock.now()
    values = {} if begun is None else {"begun_at": now - timedelta(seconds=begun)}
    SignOn.objects.filter(pk=row.pk).update(due_at=now, asked_at=now - timedelta(seconds=asked), **values)
    return ended(row.session)


def events(kind: str) -> list[str]:
    return [event.message for event in Event.objects.filter(kind=kind)]


def test_the_owner_is_signed_on_under_their_name_in_the_guest(desk, helper):
    Directory.objects.update(guest_name="{login}@lab.example")
    row = ended(desk.open())
    assert helper.said == [("ask",), ("begin", "alice@lab.example", "ab" * 16)]
    assert (row.outcome, row.account, row.due_at) == ("signed-on", "alice@lab.example", None)
    assert events("session.signed-on") == ["alice was signed on in the desktop desk-1 as “alice@lab.example”."]
    assert ended(row.session).outcome == "signed-on" and len(helper.said) == 2, "a message may come twice"


def test_who_owns_a_machine_of_no_pool_is_signed_on_there(setting, helper):
    set_console_policy(actor=setting.world.actor("root"), obj=setting.vm, sign_on="agent")
    assert ended(setting.open()).outcome == "dropped", "who may use it does not own it"
    VirtualMachine.objects.update(owner=setting.world.alice)
    assert ended(setting.open()).outcome == "signed-on"
    assert helper.verbs == ["ask", "begin"]


def test_without_the_policy_nothing_is_written_or_asked(desk, helper):
    set_console_policy(actor=desk.world.actor("root"), obj=desk.vm.desktop.pool, sign_on="none")
    desk.open()
    assert not SignOn.objects.exists() and signing_on.run() == 0


def test_a_machines_own_policy_takes_it_away_and_does_not_add_it(desk):
    root = desk.world.actor("root")
    set_console_policy(actor=root, obj=desk.vm, sign_on="none")
    assert policy_of(desk.vm).sign_on == "none"
    set_console_policy(actor=root, obj=desk.vm, sign_on="agent")
    assert policy_of(desk.vm).sign_on == "agent"
    set_console_policy(actor=root, obj=desk.vm.desktop.pool, sign_on="none")
    assert policy_of(desk.vm).sign_on == "none"


@pytest.mark.parametrize(
    "change", [{"purpose": "look"}, {"purpose": "help"}, {"purpose": "share"}, {"view_only": True}, {"kind": "rdp"}]
)
def test_who_looks_on_helps_or_comes_by_a_link_never_is(desk, helper, change):
    session = desk.open()
    SignOn.objects.all().delete()
    for name, value in change.items():
        setattr(session, name, value)
    signing_on.wish(session, ConsolePolicy(sign_on="agent"))
    assert not SignOn.objects.exists()
    session.save()
    SignOn.objects.create(session=session)
    assert ended(session).outcome == "dropped" and helper.said == []


def test_an_administrator_who_is_let_in_to_help_is_not_signed_on(desk, helper):
    own = desk.open()
    SignOn.objects.all().delete()
    help = ask_help(actor=desk.world.actor("root"), session=own, level="help")
    answer_help(actor=desk.actor(), help=help, allow=True)
    session = Session.objects.create(
        user=desk.world.root, vm=desk.vm, purpose="help", help=help, gateway="g1", boot_id=desk.vm.boot_id
    )
    signing_on.wish(session, policy_of(desk.vm))
    assert not SignOn.objects.exists()


WRONG = {
    "given to somebody else": lambda desk: Desktop.objects.update(holder=desk.world.bob),
    "given back": lambda desk: Desktop.objects.update(holder=None, state="free"),
    "disabled": lambda desk: User.objects.filter(username="alice").update(is_active=False),
    "second factor demanded": lambda desk: Directory.objects.update(second_factor=True),
    "closed": lambda desk: Session.objects.update(state="closed"),
    "told to end": lambda desk: Session.objects.update(state="ending", close_reason="ended"),
    "restarted": lambda desk: VirtualMachine.objects.update(boot_id="another"),
    "off": lambda desk: VirtualMachine.objects.update(power_state="off"),
    "policy taken away": lambda desk: ConsolePolicy.objects.all().delete(),
}  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG.keys())
@pytest.mark.parametrize("moment", ["before", "between"])
def test_what_entitles_to_it_is_asked_right_before_the_guest_is(desk, helper, wrong, moment):
    session = desk.open()
    if moment == "before":
        wrong(desk)
    else:
        helper.before = lambda verb: wrong(desk)
    assert ended(session).outcome == "dropped"
    assert "begin" not in helper.verbs and not Event.objects.filter(kind__startswith="session.sign").exists()


@pytest.mark.parametrize(
    ("code", "answer", "rule"),
    [
        (127, "", "guest.helper"), (12, "refused-user", "guest.no-system-account"), (13, "void-request", "guest.once"),
        (14, "occupied", "guest.one-person"), (16, "no-screen\nFailed to restart", "guest.screen"),
        (15, "no-logind", "guest.logind"), (1, "sh: not found", "guest.helper"), (0, "", "guest.helper"),
    ],
)  # fmt: skip
def test_a_refusal_is_told_with_its_cause_and_what_would_help(desk, helper, code, answer, rule):
    helper.answers["begin"] = GuestRun(code, answer)
    row = ended(desk.open())
    assert (row.outcome, row.error["rule"], row.due_at) == ("failed", rule, None)
    event = Event.objects.get(kind="session.sign-on-failed")
    assert event.severity == "warning" and event.explanation["rule"] == rule and event.explanation["fix"]


@pytest.mark.parametrize(
    "trouble",
    [
        Refused("No guest agent answers.", fix="Install it."), HostUnreachable("The host does not answer."),
        Conflict("busy", rule="guest.answers", fix="wait"), GuestRun(11, "unknown-user"),
    ],
)  # fmt: skip
def test_a_guest_that_comes_up_has_three_minutes(desk, helper, trouble):
    helper.answers["ask"] = trouble
    row = ended(desk.open())
    assert row.outcome == "" and row.due_at > clock.now() and not Event.objects.filter(severity="warning").exists()
    assert again(row, asked=100).outcome == ""
    assert again(row, asked=200).outcome == "failed"
    assert len(events("session.sign-on-failed")) == 1


def test_the_agent_that_comes_late_still_signs_on(desk, helper):
    helper.answers["ask"], good = Refused("No guest agent answers."), helper.answers["ask"]
    row = ended(desk.open())
    assert signing_on.run() == 0, "its time has not come"
    helper.answers["ask"] = good
    SignOn.objects.update(due_at=clock.now())
    assert signing_on.run() == 1
    assert again(row, asked=60).outcome == "signed-on"


def test_a_login_that_takes_its_time_is_not_begun_twice(desk, helper):
    helper.answers |= {"begin": GuestRun(0, "begun"), "status": GuestRun(0, "absent")}
    row = ended(desk.open())
    assert again(row, asked=30, begun=30).outcome == ""
    assert helper.verbs == ["ask", "begin", "status"]
    helper.answers["status"] = GuestRun(0, "present")
    assert again(row, asked=40, begun=40).outcome == "signed-on"


def test_an_order_without_an_answer_is_asked_after_and_begun_anew_when_it_is_void(desk, helper):
    helper.answers |= {"begin": Conflict("late", rule="guest.answers", fix="wait"), "status": GuestRun(0, "absent")}
    row = ended(desk.open())
    assert again(row, asked=80, begun=80).outcome == "" and helper.verbs == ["ask", "begin", "status"]
    helper.answers["begin"] = GuestRun(0, "signed-on")
    assert again(row, asked=85).outcome == "signed-on" and helper.verbs[3:] == ["ask", "begin"]


def test_a_login_that_never_comes_is_told(desk, helper):
    helper.answers |= {"begin": GuestRun(0, "begun"), "status": GuestRun(0, "absent")}
    row = again(ended(desk.open()), asked=200, begun=20)
    assert (row.outcome, row.error["rule"]) == ("failed", "guest.login")


def test_what_was_begun_for_who_has_the_desktop_no_more_is_ended(desk, helper):
    helper.answers["begin"] = GuestRun(0, "begun")
    row = ended(desk.open())
    Desktop.objects.update(holder=desk.world.bob)
    assert again(row, asked=5).outcome == "dropped"
    assert helper.said[-1] == ("end", "alice")


def test_who_only_closed_the_screen_stays_logged_in(desk, helper):
    helper.answers["begin"] = GuestRun(0, "begun")
    row = ended(desk.open())
    Session.objects.update(state="closed")
    assert again(row, asked=5).outcome == "dropped" and helper.verbs == ["ask", "begin"]


def locked(desk, step: str, **more) -> None:
    act = {"base": clock.now().isoformat(), "at": "", "act": "lock", "order": "lock", "outcome": "done", **more}
    Sitting.objects.update_or_create(
        desktop=desk.vm.desktop, defaults={"held_since": desk.vm.desktop.held_since, "acts": {step: act}}
    )


def test_what_the_rules_locked_when_they_left_is_unlocked_once(desk, helper):
    locked(desk, "leave")
    assert ended(desk.open()).outcome == "unlocked"
    assert events("session.signed-on") == ["The desktop desk-1 was unlocked for alice, who came back."]
    helper.answers["begin"] = GuestRun(0, "present")
    assert ended(desk.open()).outcome == "present"
    assert helper.verbs == ["unlock", "ask", "begin"]


def test_who_was_logged_out_after_the_lock_is_signed_on_anew(desk, helper):
    locked(desk, "leave")
    helper.answers["unlock"] = GuestRun(0, "absent")
    assert ended(desk.open()).outcome == "signed-on" and helper.verbs == ["unlock", "ask", "begin"]


@pytest.mark.parametrize(
    ("step", "more"),
    [("idle", {}), ("leave", {"outcome": ""}), ("leave", {"order": "log-out"}), ("then", {"lifted": True})],
)
def test_other_locks_are_not_lifted(desk, helper, step, more):
    locked(desk, step, **more)
    ended(desk.open())
    assert helper.verbs == ["ask", "begin"]


def test_a_lock_from_an_earlier_holders_time_is_none(desk, helper):
    locked(desk, "leave")
    Sitting.objects.update(held_since=clock.now() - timedelta(days=1))
    ended(desk.open())
    assert "unlock" not in helper.verbs


@pytest.mark.parametrize("name", ["root; reboot", "a b", "$(id)", "-s", "1000", "ali\nce", "álice"])
def test_a_hostile_name_reaches_no_guest(desk, helper, name):
    User.objects.filter(username="alice").update(username=name)
    row = SignOn.objects.create(
        session=Session.objects.create(user=desk.world.alice, vm=desk.vm, gateway="g1", boot_id=desk.vm.boot_id)
    )
    assert (ended(row.session).error["rule"], helper.said) == ("guest.name", [])


def test_what_is_said_to_a_shell_is_quoted_whatever_it_is():
    script = guest_sign_on.script_of(("begin", "a'; reboot #", "$(id)"))
    assert script.splitlines()[1] == """exec /usr/local/sbin/berth-sign-on begin 'a'"'"'; reboot #' '$(id)'"""


def test_windows_is_refused_with_the_reason(desk, helper):
    root = desk.world.actor("root")
    VirtualMachine.objects.update(guest={"agent": True, "os_name": "Microsoft Windows"})
    row = ended(desk.open())
    assert (row.outcome, row.error["rule"], helper.said) == ("failed", "guest.system", [])
    with pytest.raises(Unsupported, match="credential provider"):
        set_console_policy(actor=root, obj=VirtualMachine.objects.get(), sign_on="agent")
    pool = desk.vm.desktop.pool
    pool.template.os_name = "Windows 11"
    with pytest.raises(Unsupported):
        set_console_policy(actor=root, obj=pool, sign_on="agent")
    set_console_policy(actor=root, obj=pool, sign_on="none")


def test_the_gateway_only_sends_word_once_the_session_is_committed(
    desk, monkeypatch, django_capture_on_commit_callbacks
):
    sent = []
    monkeypatch.setattr(tasks.sign_on_guest, "apply_async", lambda args, **options: sent.append(args))
    with django_capture_on_commit_callbacks(execute=True):
        session = desk.open()
        assert sent == []
    assert sent == [(str(session.pk),)]
    assert SignOn.objects.get(session=session).outcome == ""
    assert signing_on.run() == 1, "and the duty makes up for a message that got lost"


def test_workers_know_the_task():
    app.loader.import_default_modules()
    assert "sign_on_guest" in app.tasks and "connections.sign-on" in app.conf.beat_schedule
