"""Second factors: codes as RFC 6238 has them, taken once, slowed down, sealed, and reset by who may."""

import re
from datetime import UTC, datetime

import pytest
from django.core.management import CommandError, call_command

from broker.access.actions.demand_second_factor import demand_second_factor
from broker.access.actor import Actor
from broker.access.models import Role
from broker.core.errors import Conflict, Denied, Invalid, Missing, Unavailable
from broker.directories import second_factor
from broker.directories.actions.drop_second_factor import drop_second_factor
from broker.directories.actions.renew_recovery_codes import renew_recovery_codes
from broker.directories.actions.reset_second_factor import reset_second_factor
from broker.directories.actions.set_up_second_factor import set_up_second_factor
from broker.directories.models import RecoveryCode, SecondFactor, User
from broker.directories.throttle import TooManyTries
from broker.events.models import Event
from tests.directories.codes import Phone, set_up, stopped_clock  # noqa: F401 - a fixture

pytestmark = pytest.mark.django_db


def spend(user: User, code: str, address: str = "192.0.2.1") -> None:
    second_factor.spend(user, code, address=address)


@pytest.mark.parametrize(
    ("moment", "code"),
    [(59, "287082"), (1111111109, "081804"), (1234567890, "005924"), (2000000000, "279037"), (20000000000, "353130")],
)
def test_codes_are_those_of_the_standard(at, moment, code):
    """The last six of the eight digits in RFC 6238, appendix B."""
    secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
    at.now = datetime.fromtimestamp(moment, UTC)
    assert second_factor.step_of(secret, code) == moment // 30
    assert second_factor.step_of(secret, f" {code[:3]}-{code[3:]} ") == moment // 30
    at.on(30)
    assert second_factor.step_of(secret, code) == moment // 30, "the one before is taken as well"
    at.on(30)
    assert second_factor.step_of(secret, code) is None


@pytest.mark.parametrize("typed", ["", "12345", "1234567", "abcdef", "12345\0", "١٢٣٤٥x", "9" * 5000])
def test_what_is_no_code_is_refused(world, at, typed):
    set_up(world.alice)
    with pytest.raises(Invalid) as refused:
        spend(world.alice, typed)
    assert refused.value.field == "code"


def test_a_code_never_works_twice(world, at):
    phone, _codes = set_up(world.alice)
    with pytest.raises(Invalid):
        spend(world.alice, phone.code())  # it was spent on setting up
    at.on(30)
    earlier = phone.code()
    at.on(30)
    spend(world.alice, phone.code())
    for code in (phone.code(), earlier):
        with pytest.raises(Invalid):
            spend(world.alice, code)


def test_a_recovery_code_works_once_and_is_told(world, at):
    _phone, codes = set_up(world.alice)
    assert len(set(codes)) == 10 and all(re.fullmatch(r"([a-z2-7]{4}-){3}[a-z2-7]{4}", code) for code in codes)
    spend(world.alice, codes[0].upper().replace("-", " "))
    with pytest.raises(Invalid):
        spend(world.alice, codes[0])
    event = Event.objects.get(kind="user.recovery-code-used")
    assert event.params["left"] == "9" and event.severity == "warning"
    spend(world.alice, codes[9])


def test_nobody_else_can_use_them(world, at):
    _phone, codes = set_up(world.alice)
    phone, _others = set_up(world.bob)
    at.on(30)
    for code in (codes[0], phone.code()):
        with pytest.raises(Invalid):
            spend(world.charlie, code)
    with pytest.raises(Invalid):
        spend(world.bob, codes[0])


def test_nothing_in_the_database_can_be_used(world, at):
    phone, codes = set_up(world.alice)
    rows = str([list(model.objects.values()) for model in (SecondFactor, RecoveryCode, Event)])
    assert phone.secret not in rows
    assert not any(code in rows or code.replace("-", "") in rows for code in codes)


def test_another_secret_key_is_told_and_lets_nobody_in(world, at, settings):
    phone, _codes = set_up(world.alice)
    at.on(30)
    settings.SECRET_KEY = "another key than before, of some length"
    with pytest.raises(Unavailable) as error:
        spend(world.alice, phone.code())
    assert error.value.rule == "second-factor.key"


def test_guessing_is_slowed_down_and_does_not_keep_its_owner_out(world, at):
    """Who has the password, and guesses from many networks."""
    phone, _codes = set_up(world.alice)
    at.on(30)
    spend(world.alice, phone.code(), "192.0.2.1")
    at.on(30)
    wrong = phone.wrong()
    taken = 0
    for number in range(30):
        try:
            spend(world.alice, wrong, f"198.51.100.{number}")
        except Invalid:
            taken += 1
        except TooManyTries as refused:
            assert refused.retry_after >= 60
    assert taken == 10
    spend(world.alice, phone.code(), "192.0.2.1")


def test_typing_a_name_at_the_door_does_not_count_against_codes(world, at):
    from django.contrib.auth import authenticate
    from django.test import RequestFactory

    phone, _codes = set_up(world.alice)
    at.on(30)
    for number in range(40):
        try:
            authenticate(
                RequestFactory().post("/", REMOTE_ADDR=f"198.51.100.{number}"), username="alice\0code", password="x"
            )
        except TooManyTries:
            pass
    spend(world.alice, phone.code(), "203.0.113.9")


def test_other_sign_ins_end_when_it_is_set_up_and_when_it_goes(world, at):
    before = world.alice.get_session_auth_hash()
    set_up(world.alice)
    with_it = User.objects.get(pk=world.alice.pk).get_session_auth_hash()
    assert with_it != before
    at.on(5)
    reset_second_factor(actor=world.actor("root"), user=world.alice)
    assert User.objects.get(pk=world.alice.pk).get_session_auth_hash() == before
    set_up(world.alice)
    assert User.objects.get(pk=world.alice.pk).get_session_auth_hash() not in (before, with_it)


def test_only_its_owner_sets_it_up_changes_it_and_turns_it_off(world, at):
    phone = Phone(second_factor.new_secret())
    given = {"user": world.alice, "secret": phone.secret, "code": phone.code()}
    with pytest.raises(Missing):
        set_up_second_factor(actor=world.actor("bob"), **given)
    with pytest.raises(Denied):
        set_up_second_factor(actor=world.actor("root"), **given)
    phone, _codes = set_up(world.alice)
    with pytest.raises(Conflict):
        set_up(world.alice)
    at.on(30)
    with pytest.raises(Denied):
        drop_second_factor(actor=world.actor("root"), user=world.alice, code=phone.code())
    with pytest.raises(Denied):
        renew_recovery_codes(actor=world.actor("root"), user=world.alice, code=phone.code())
    alice = User.objects.get(pk=world.alice.pk)
    with pytest.raises(Invalid):
        drop_second_factor(actor=Actor.for_user(alice), user=alice, code="000000")
    drop_second_factor(actor=Actor.for_user(alice), user=alice, code=phone.code())
    assert User.objects.get(pk=world.alice.pk).second_factor_at is None
    assert not SecondFactor.objects.exists() and not RecoveryCode.objects.exists()


def test_setting_up_takes_a_code_of_that_secret(world, at):
    with pytest.raises(Invalid):
        set_up_second_factor(
            actor=world.actor("alice"), user=world.alice, secret=second_factor.new_secret(),
            code=Phone(second_factor.new_secret()).code(),
        )  # fmt: skip
    assert not SecondFactor.objects.exists()


def test_new_recovery_codes_end_the_old_ones(world, at):
    phone, old = set_up(world.alice)
    at.on(30)
    new = renew_recovery_codes(actor=world.actor("alice"), user=world.alice, code=phone.code())
    assert not set(new) & set(old)
    with pytest.raises(Invalid):
        spend(world.alice, old[0])
    spend(world.alice, new[0])


def test_who_manages_people_resets_it_but_not_that_of_somebody_with_more_rights(world, at):
    helpers = Role.objects.create(name="help-desk", title="Help desk", verbs=["user.view", "user.manage"])
    world.grant(world.bob, helpers.name)
    for name in ("alice", "root", "bob"):
        set_up(getattr(world, name))
    with pytest.raises(Missing):
        reset_second_factor(actor=world.actor("charlie"), user=world.alice)
    with pytest.raises(Denied):
        reset_second_factor(actor=world.actor("bob"), user=world.root)
    with pytest.raises(Denied) as own:
        reset_second_factor(actor=world.actor("bob"), user=world.bob)
    assert own.value.rule == "second-factor.own"
    reset_second_factor(actor=world.actor("bob"), user=world.alice)
    reset_second_factor(actor=world.actor("bob"), user=world.alice)
    assert Event.objects.filter(kind="user.second-factor-reset").count() == 1
    assert set(SecondFactor.objects.values_list("user__username", flat=True)) == {"root", "bob"}


def test_the_command_is_the_way_back_for_the_last_administrator(world, at, capsys):
    set_up(world.root)
    call_command("resetsecondfactor", "ROOT")
    assert User.objects.get(pk=world.root.pk).second_factor_at is None
    assert Event.objects.get(kind="user.second-factor-reset").actor_name == "manage.py"
    call_command("resetsecondfactor", "root")
    assert "had no second factor" in capsys.readouterr().out
    with pytest.raises(CommandError):
        call_command("resetsecondfactor", "nobody")


def test_it_is_demanded_by_directory_and_by_role(world):
    def wanted(name: str) -> bool:
        user = User.objects.get(username=name)
        return second_factor.demanded(user, Actor.for_user(user))

    admin = Role.objects.get(name="admin")
    with pytest.raises(Denied):
        demand_second_factor(actor=world.actor("alice"), role=admin, demanded=True)
    demand_second_factor(actor=world.actor("root"), role=admin, demanded=True)
    demand_second_factor(actor=world.actor("root"), role=admin, demanded=True)
    assert wanted("root") and not wanted("bob")
    assert Event.objects.filter(kind="role.second-factor").count() == 1
    nothing = Role.objects.create(name="careful", title="Careful", verbs=[], second_factor=True)
    world.grant(world.staff, nothing.name)
    assert wanted("bob") and not wanted("charlie")
    world.directory.second_factor = True
    world.directory.save()
    assert wanted("charlie")


def test_it_is_not_turned_off_where_it_is_demanded(world, at):
    phone, _codes = set_up(world.alice)
    type(world.directory).objects.update(second_factor=True)
    at.on(30)
    alice = User.objects.get(pk=world.alice.pk)
    with pytest.raises(Conflict) as refused:
        drop_second_factor(actor=Actor.for_user(alice), user=alice, code=phone.code())
    assert refused.value.rule == "second-factor.demanded"
    spend(alice, phone.code())  # the refusal did not spend it
