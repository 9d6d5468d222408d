"""Signing in through a real slapd: who gets in, who does not, and what is known of them afterwards.

Rows S31, S32, S33, F38.
"""

import uuid

import ldap
import pytest
from django.contrib.auth import authenticate
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django_auth_ldap.config import NestedActiveDirectoryGroupType

from broker.core.errors import Unavailable
from broker.directories import people
from broker.directories.kinds.ldap import KIND, finding
from broker.directories.models import Group, Membership, User
from broker.events.models import Event
from tests.servers import slapd as servers
from tests.servers.slapd import GROUPS, PEOPLE

PASSWORD = "secret of theirs"


def enter(directory, username, password=PASSWORD):
    """Past the throttle, which is tested elsewhere: the directory's own word."""
    return KIND.authenticate(directory, username, password, seconds=20.0)


def groups(user):
    return sorted(user.directory_groups.values_list("name", flat=True))


@pytest.mark.parametrize("way", ["ldaps", "starttls", "plain"])
def test_a_person_of_the_directory_signs_in(slapd, make_directory, way):
    changes = {"ldaps": {}, "starttls": {"servers": [slapd.url]}, "plain": {"servers": [slapd.url], "start_tls": False}}
    make_directory(**changes[way])
    slapd.person("erin")
    user = authenticate(username="erin", password=PASSWORD)
    assert user.username == "erin"
    assert user.external_id == slapd.attribute(f"uid=erin,{PEOPLE}", "entryUUID")
    assert not user.has_usable_password()
    assert authenticate(username="erin", password="wrong one") is None
    assert authenticate(username="nobody", password=PASSWORD) is None


def test_what_is_typed_in_another_case_is_the_same_person(slapd, make_directory):
    directory = make_directory(login_attributes=["uid", "mail"])
    slapd.person("erin")
    users = {enter(directory, name) for name in ("erin", "ERIN", "erin@example.org", " erin ")}
    assert len(users) == 1 and None not in users


@pytest.mark.parametrize("password", ["", " ", "\t ", "\0", "secret of theirs\0", "\u3000"])
def test_a_blank_password_lets_nobody_in_although_the_server_would(slapd, directory, password):
    dn = slapd.person("erin")
    bare = ldap.initialize(slapd.url)
    bare.simple_bind_s(dn, "")  # the server says yes to anybody's name without a password
    assert enter(directory, "erin", password) is None
    assert authenticate(username="erin", password=password) is None
    assert not User.objects.filter(username="erin").exists()


def test_a_reader_without_a_password_is_not_an_anonymous_one(slapd, make_directory):
    directory = make_directory()
    slapd.person("erin")
    directory.secret = ""
    with pytest.raises(Unavailable):
        enter(directory, "erin")


@pytest.mark.parametrize(
    "name",
    ["*", "e*", "*)(uid=*", "erin)(|(uid=*", "a)(|(cn=*))", "erin)(objectClass=*)", "uid=erin," + PEOPLE, "erin\\2a",
     "erin,ou=people", "(", ")", "\\", "%s", "%(user)s", "erin\n", "\u202eerin", "x" * 10_000, "er\0in", "#erin",
     "=erin"],
)  # fmt: skip
def test_signs_of_the_filter_language_are_letters(slapd, directory, name):
    slapd.person("erin")
    assert enter(directory, name, PASSWORD) is None or name.strip() == "erin"
    assert authenticate(username=name, password=PASSWORD) is None or name.strip() == "erin"


@pytest.mark.parametrize("name", ["O'Neil, (x)*", "jörg", "a+b", "back\\slash", "#hash", "名前"])
def test_people_with_such_names_sign_in(slapd, directory, name):
    dn = slapd.person(name)
    slapd.group("devs", dn)
    user = enter(directory, name)
    assert user.username == name
    assert groups(user) == ["devs"]


def test_groups_are_those_of_now_and_other_groups_stay(slapd, directory, world):
    erin = slapd.person("erin")
    devs = slapd.group("devs", erin)
    team = slapd.group("team", devs)
    slapd.change(devs, member=[erin, team])  # in a circle
    user = enter(directory, "erin")
    assert groups(user) == ["devs", "team"]
    world.staff.members.add(user)
    Group.objects.get(directory=directory, name="team").members.add(world.alice)
    slapd.root.delete_s(team)
    assert groups(enter(directory, "erin")) == ["devs", "staff"]
    assert groups(world.alice) == ["team"]


def test_without_nesting_only_direct_groups_count(slapd, make_directory):
    erin = slapd.person("erin")
    slapd.group("team", slapd.group("devs", erin))
    assert groups(enter(make_directory(nested=False), "erin")) == ["devs"]


def test_a_second_sign_in_writes_no_user_and_no_group(slapd, directory):
    slapd.group("devs", slapd.person("erin"))
    enter(directory, "erin")
    with CaptureQueriesContext(connection) as queries:
        enter(directory, "erin")
    assert not [q["sql"] for q in queries if q["sql"].startswith(("INSERT", "UPDATE", "DELETE"))]


@pytest.mark.parametrize(
    "value, may", [("TRUE", True), ("true", True), ("1", True), ("FALSE", False), ("0", False), (None, False),
                   ("", False), ("maybe", False), ("-1", False), (["TRUE", "FALSE"], False)],
)  # fmt: skip
def test_an_attribute_that_says_who_may_must_say_so(slapd, make_directory, value, may):
    directory = make_directory(enabled_attribute="employeeEnabled")
    more = {} if value in (None, "") else {"employeeEnabled": value}
    slapd.person("erin", objectClass=["inetOrgPerson", "testFlags"], **more)
    assert (enter(directory, "erin") is not None) is may


@pytest.mark.parametrize(
    "value, may", [(None, True), ("FALSE", True), ("false", True), ("0", True), ("TRUE", False), ("1", False),
                   ("maybe", False), (["FALSE", "TRUE"], False)],
)  # fmt: skip
def test_freeipa_says_who_may_not_and_has_an_id_of_its_own(slapd, make_directory, value, may):
    directory = make_directory(flavour="freeipa", user_filter="(objectClass=inetOrgPerson)")
    id = str(uuid.uuid4())
    more = {} if value is None else {"nsAccountLock": value}
    slapd.person("erin", objectClass=["inetOrgPerson", "testFlags"], ipaUniqueID=id, **more)
    user = enter(directory, "erin")
    assert (user is not None) is may
    assert user is None or user.external_id == id


def test_who_is_disabled_is_refused_and_not_made(slapd, directory):
    dn = slapd.person("erin")
    slapd.root.modify_s(dn, [(ldap.MOD_REPLACE, "pwdAccountLockedTime", [b"000001010000Z"])])
    assert enter(directory, "erin") is None
    assert not User.objects.filter(username="erin").exists()


def test_who_is_locked_by_wrong_passwords_is_refused_but_not_disabled(slapd, directory):
    slapd.person("erin")
    user = enter(directory, "erin")
    for _ in range(5):
        assert enter(directory, "erin", "wrong") is None
    assert enter(directory, "erin") is None
    assert User.objects.get(pk=user.pk).is_active


def test_two_entries_with_one_name_let_nobody_in(slapd, make_directory):
    slapd.person("erin")
    slapd.add(f"ou=more,{PEOPLE}", objectClass="organizationalUnit", ou="more")
    twin = slapd.add(f"uid=erin,ou=more,{PEOPLE}", objectClass="inetOrgPerson", uid="erin", cn="E", sn="E",
                     userPassword=PASSWORD)  # fmt: skip
    directory = make_directory()
    try:
        assert enter(directory, "erin") is None
    finally:
        slapd.root.delete_s(twin)


def test_a_renamed_user_keeps_the_row_and_a_recreated_one_gets_another(slapd, directory, world):
    dn = slapd.person("erin")
    first = enter(directory, "erin")
    world.grant(first, "operator")
    slapd.root.rename_s(dn, "uid=erika")
    renamed = enter(directory, "erika")
    assert renamed.pk == first.pk and renamed.username == "erika"
    slapd.root.delete_s(f"uid=erika,{PEOPLE}")
    slapd.person("erika")
    new = enter(directory, "erika")
    assert new.pk != first.pk and not new.grants.exists()
    old = User.objects.get(pk=first.pk)
    assert not old.is_active and old.grants.exists() and old.username.startswith("erika~")


def test_somebody_new_with_the_name_of_one_who_was_renamed(slapd, directory):
    dn = slapd.person("erin")
    first = enter(directory, "erin")
    slapd.root.rename_s(dn, "uid=erika")
    slapd.person("erin")
    second = enter(directory, "erin")
    assert second.pk != first.pk
    assert User.objects.get(pk=first.pk).is_active
    assert enter(directory, "erika").pk == first.pk


def test_the_name_of_a_local_user_is_refused(slapd, directory, world):
    slapd.person("alice")
    assert enter(directory, "alice") is None
    world.alice.refresh_from_db()
    assert world.alice.directory == world.directory


def test_two_first_sign_ins_at_once_make_one_row(slapd, directory, monkeypatch):
    """The other one's row comes between looking and inserting, as it does with two requests on PostgreSQL."""
    slapd.group("devs", slapd.person("erin"))
    real, raced = people.sql.add, []

    def late(row):
        if not isinstance(row, User) or raced:
            return real(row)
        raced.append(row.external_id)
        with transaction.atomic():
            User(directory=directory, external_id=row.external_id, username="erin", password="!").save()
        raise IntegrityError("UNIQUE constraint failed")

    # Without its transaction: what the other request wrote would be rolled back with it here.
    monkeypatch.setattr(people, "_write_down", people._write_down.__wrapped__)
    monkeypatch.setattr(people.sql, "add", late)
    assert groups(enter(directory, "erin")) == ["devs"]
    assert User.objects.filter(username="erin").count() == 1 and raced


def test_two_directories_with_the_same_name_keep_two_people_apart(slapd, make_directory):
    one, two = make_directory("One"), make_directory("Two")
    slapd.person("erin")
    assert enter(one, "erin").directory == one
    assert enter(two, "erin") is None


def test_the_bind_password_is_nowhere_in_clear(slapd, directory, world, caplog):
    slapd.person("erin")
    with caplog.at_level("DEBUG"):
        enter(directory, "erin")
        enter(directory, "erin", "wrong password of theirs")
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM directories_directory")
        rows = repr(cursor.fetchall())
    told = repr(list(Event.objects.values()))
    for text in (rows, caplog.text, told):
        assert servers.READER_PASSWORD not in text
        assert PASSWORD not in text and "wrong password of theirs" not in text


class TestActiveDirectory:
    """The schema of an AD on slapd: its attributes, not its rules of matching (nested groups are walked)."""

    GUID = uuid.UUID("12345678-9abc-def0-1234-56789abcdef0")

    @pytest.fixture
    def ad(self, slapd, make_directory):
        return make_directory(
            flavour="ad", user_filter="(objectClass=adUser)", group_filter="(objectClass=adGroup)",
            group_member="member", bind_dn=servers.READER_DN,
        )  # fmt: skip

    def person(self, slapd, **more):
        given = {
            "objectClass": ["adUser"], "sAMAccountName": "Erin", "userPrincipalName": "erin@ad.example.org",
            "userAccountControl": "512", "objectGUID": self.GUID.bytes_le, "displayName": "Erin E.",
        }  # fmt: skip
        return slapd.person("x", **{k: v for k, v in (given | more).items() if v is not None})

    @pytest.fixture(autouse=True)
    def walked(self, monkeypatch):
        monkeypatch.setattr(finding, "InChainGroupType", NestedActiveDirectoryGroupType)

    def test_both_names_are_one_person(self, slapd, ad):
        self.person(slapd)
        users = [enter(ad, name) for name in ("erin", "ERIN@ad.example.org")]
        assert users[0] == users[1]
        assert users[0].external_id == str(self.GUID)
        assert users[0].username == "Erin" and users[0].display_name == "Erin E."

    @pytest.mark.parametrize(
        "control, may", [("512", True), ("66048", True), ("514", False), ("66050", False), ("FALSE", False),
                         ("", False), (None, False), ("512.0", False), ("0x200", False)],
    )  # fmt: skip
    def test_account_control_must_say_that_the_account_is_on(self, slapd, ad, control, may):
        self.person(slapd, userAccountControl=control or None)
        assert (enter(ad, "erin") is not None) is may

    @pytest.mark.parametrize(
        "expires, may", [("0", True), ("9223372036854775807", True), ("132223104000000000", False),
                         ("253370764800000000", True)],
    )  # fmt: skip
    def test_accounts_expire(self, slapd, ad, expires, may):
        self.person(slapd, accountExpires=expires)
        assert (enter(ad, "erin") is not None) is may

    def test_groups_in_groups_and_the_primary_one(self, slapd, ad):
        sid = bytes.fromhex("010500000000000515000000") + bytes(12)
        erin = self.person(slapd, primaryGroupID="513", objectSid=sid + (1105).to_bytes(4, "little"))
        for number, (name, member) in enumerate(
            (("devs", erin), ("users", servers.ROOT_DN), ("team", f"cn=devs,{GROUPS}"))
        ):
            slapd.add(
                f"cn={name},{GROUPS}", objectClass="adGroup", cn=name, member=member,
                objectGUID=uuid.UUID(int=number + 1).bytes_le,
                objectSid=sid + (512 + number).to_bytes(4, "little"),
            )  # fmt: skip
        assert groups(enter(ad, "erin")) == ["devs", "team", "users"]
        assert Membership.objects.filter(user__username="Erin", by_hand=True).count() == 0
