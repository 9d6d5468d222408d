"""Following a real slapd: who comes, changes, goes; what is refused; what is written (F37, F38)."""

import ldap
import pytest
from django.utils import timezone

from broker.core.errors import Unavailable
from broker.directories.kinds.ldap import bulk
from broker.directories.kinds.ldap.sync import follow
from broker.directories.models import Group, Membership, User
from broker.directories.reconcile import follow_all
from broker.events.models import Event
from tests.servers.slapd import GROUPS, LIMITED_DN, PEOPLE


def look(directory, asked=""):
    directory.refresh_from_db()
    directory.sync_asked = asked
    directory.save(update_fields=["sync_asked"])
    outcome = follow(directory)
    directory.refresh_from_db()
    return outcome


def members(directory, name):
    rows = Membership.objects.filter(group__directory=directory, group__name=name)
    return set(rows.values_list("user__username", flat=True))


def people(slapd, *names):
    return [slapd.person(name) for name in names]


def signed_in(*names):
    User.objects.filter(username__in=names).update(last_login=timezone.now())


def test_everybody_and_every_group_comes_and_a_second_look_writes_nothing(slapd, directory):
    ann, ben = people(slapd, "ann", "ben")
    devs = slapd.group("devs", ann)
    slapd.group("team", devs, ben)
    assert look(directory).created == 4
    assert members(directory, "devs") == {"ann"}
    assert members(directory, "team") == {"ann", "ben"}
    assert look(directory).rows == 0
    assert look(directory, "full").rows == 0
    assert User.objects.get(username="ann").email == "ann@example.org"


def test_groups_in_a_circle_end(slapd, directory):
    ann, ben = people(slapd, "ann", "ben")
    one = slapd.group("one", ann)
    two = slapd.group("two", ben, one)
    slapd.change(one, member=[ann, two])
    look(directory)
    assert members(directory, "one") == members(directory, "two") == {"ann", "ben"}


def test_posix_groups_name_users_not_dns(slapd, make_directory):
    slapd.add(
        f"uid=ann,{PEOPLE}", objectClass=["inetOrgPerson", "posixAccount"], uid="ann", cn="Ann", sn="A",
        uidNumber="1001", gidNumber="500", homeDirectory="/home/ann", userPassword="secret of theirs",
    )  # fmt: skip
    slapd.person("ben")
    slapd.add(f"cn=primary,{GROUPS}", objectClass="posixGroup", cn="primary", gidNumber="500")
    slapd.add(f"cn=more,{GROUPS}", objectClass="posixGroup", cn="more", gidNumber="501", memberUid=["ben", "ann", "x"])
    directory = make_directory(group_member="memberUid", group_filter="(objectClass=posixGroup)")
    look(directory)
    assert members(directory, "primary") == {"ann"}
    assert members(directory, "more") == {"ann", "ben"}
    from django.contrib.auth import authenticate

    assert authenticate(username="ann", password="secret of theirs")
    assert members(directory, "primary") == {"ann"}
    assert members(directory, "more") == {"ann", "ben"}


def test_who_is_taken_out_of_a_group_is_out_at_the_next_look(slapd, directory):
    ann, ben = people(slapd, "ann", "ben")
    devs = slapd.group("devs", ann, ben)
    slapd.group("others", ann, ben)
    look(directory)
    slapd.change(devs, member=[ben])
    assert look(directory).left == 1
    assert members(directory, "devs") == {"ben"}
    slapd.root.delete_s(devs)
    look(directory)
    assert set(Group.objects.filter(directory=directory).values_list("name", flat=True)) == {"others"}


def test_who_is_deleted_while_signed_in_is_out_at_the_next_look(slapd, directory):
    (ann, _) = people(slapd, "ann", "ben")
    look(directory)
    signed_in("ann", "ben")
    slapd.root.delete_s(ann)
    assert look(directory).disabled == 1
    assert not User.objects.get(username="ann").is_active
    assert User.objects.get(username="ben").is_active
    assert Event.objects.filter(kind="user.disabled", subject_name="ann").count() == 1


def test_who_is_disabled_is_out_and_comes_back_without_the_old_sign_ins(slapd, make_directory, client):
    ann = slapd.person("ann", objectClass=["inetOrgPerson", "testFlags"], employeeEnabled="TRUE")
    directory = make_directory(enabled_attribute="employeeEnabled")
    look(directory)
    user = User.objects.get(username="ann")
    client.force_login(user)
    before = user.get_session_auth_hash()
    slapd.change(ann, employeeEnabled="FALSE")
    assert look(directory).disabled == 1
    assert client.get("/").status_code == 302
    slapd.change(ann, employeeEnabled="TRUE")
    assert look(directory).enabled == 1
    user.refresh_from_db()
    assert user.is_active and user.get_session_auth_hash() != before
    assert client.get("/").status_code == 302


def test_who_was_disabled_here_is_not_enabled_by_the_directory(slapd, directory, world):
    from broker.directories.actions.disable_user import disable_user

    slapd.person("ann")
    look(directory)
    disable_user(actor=world.actor("root"), user=User.objects.get(username="ann"))
    look(directory, "full")
    assert not User.objects.get(username="ann").is_active


def test_a_renamed_user_keeps_everything_and_a_recreated_one_gets_nothing(slapd, directory, world):
    ann = slapd.person("ann")
    slapd.group("devs", ann)
    look(directory)
    before = User.objects.get(username="ann")
    world.grant(before, "operator")
    slapd.root.rename_s(ann, "uid=anna")
    look(directory)
    renamed = User.objects.get(username="anna")
    assert renamed.pk == before.pk and renamed.grants.exists()
    assert members(directory, "devs") == {"anna"}
    slapd.root.delete_s(f"uid=anna,{PEOPLE}")
    slapd.person("anna")
    look(directory, "full")
    new = User.objects.get(username="anna")
    assert new.pk != before.pk and not new.grants.exists() and new.is_active
    old = User.objects.get(pk=before.pk)
    assert not old.is_active and old.username != "anna"


def test_two_who_swap_their_names_stay_who_they_are(slapd, directory):
    people(slapd, "ann", "ben", "cid")
    look(directory)
    ids = {user.username: user.pk for user in User.objects.filter(directory=directory)}
    for old, new in (("ann", "x"), ("ben", "ann"), ("cid", "ben"), ("x", "cid")):
        slapd.root.rename_s(f"uid={old},{PEOPLE}", f"uid={new}")
    assert look(directory).changed == 3
    assert {u.username: u.pk for u in User.objects.filter(directory=directory)} == {
        "ann": ids["ben"], "ben": ids["cid"], "cid": ids["ann"]
    }  # fmt: skip


def test_a_name_that_is_somebody_elses_is_refused_and_said(slapd, directory, world):
    slapd.person("alice")
    slapd.add(f"ou=more,{PEOPLE}", objectClass="organizationalUnit", ou="more")
    slapd.person("ann")
    slapd.add(f"uid=ann,ou=more,{PEOPLE}", objectClass="inetOrgPerson", uid="ann", cn="A", sn="A")
    try:
        look(directory)
    finally:
        slapd.root.delete_s(f"uid=ann,ou=more,{PEOPLE}")
    assert not User.objects.filter(directory=directory).exists()
    assert User.objects.get(username="alice").directory == world.directory
    assert directory.sync_error["rule"] == "directory.name"
    assert directory.sync_error["params"]["names"] == "alice, ann"


def test_an_empty_answer_wipes_nothing(slapd, directory):
    ann, ben = people(slapd, "ann", "ben")
    slapd.group("devs", ann, ben)
    look(directory)
    directory.config["user_filter"] = "(uid=nobody-at-all)"
    directory.save()
    assert look(directory, "accept").rows == 0
    assert directory.sync_held == 2
    assert User.objects.filter(directory=directory, is_active=True).count() == 2
    assert members(directory, "devs") == {"ann", "ben"}
    assert Event.objects.filter(kind="directory.held").count() == 1
    look(directory, "full")
    assert Event.objects.filter(kind="directory.held").count() == 1


def test_a_list_that_shrinks_unlikely_is_held_until_it_is_accepted(slapd, directory):
    dns = people(slapd, *(f"user{number}" for number in range(20)))
    devs = slapd.group("devs", *dns)
    look(directory)
    for dn in dns[:10]:
        slapd.root.delete_s(dn)
    look(directory, "full")
    assert directory.sync_held == 10
    assert User.objects.filter(directory=directory, is_active=True).count() == 20
    assert len(members(directory, "devs")) == 20
    slapd.person("newcomer")
    slapd.change(devs, member=[*dns[10:], f"uid=newcomer,{PEOPLE}"])
    look(directory)
    assert len(members(directory, "devs")) == 21
    look(directory, "accept")
    assert directory.sync_held == 0 and directory.sync_error == {}
    assert User.objects.filter(directory=directory, is_active=True).count() == 11
    assert len(members(directory, "devs")) == 11


def test_who_is_disabled_is_out_also_amid_a_change_that_is_held_back(slapd, make_directory, client):
    """With and without a filter that leaves out who is disabled; the removals beside them wait to be accepted."""
    off = "000001010000Z"  # pwdAccountLockedTime: locked by an administrator
    dns = people(slapd, *(f"user{number}" for number in range(20)))
    directory = make_directory(
        user_filter=f"(&(objectClass=inetOrgPerson)(!(&(description=hidden)(pwdAccountLockedTime={off}))))"
    )
    look(directory)
    cookies = {}
    for number in (0, 1, 2):
        client.force_login(User.objects.get(username=f"user{number}"))
        cookies[number] = client.cookies.output(header="")
        client.cookies.clear()
    signed_in(*(f"user{number}" for number in range(20)))
    slapd.change(dns[0], pwdAccountLockedTime=off)
    slapd.change(dns[1], description="hidden", pwdAccountLockedTime=off)
    for dn in dns[2:12]:
        slapd.root.delete_s(dn)
    look(directory)
    active = set(User.objects.filter(directory=directory, is_active=True).values_list("username", flat=True))
    assert active == {f"user{number}" for number in range(2, 20)} and directory.sync_held == 10
    look(directory, "full")
    assert User.objects.filter(directory=directory, is_active=True).count() == 18 and directory.sync_held == 10
    for number, status in ((0, 302), (1, 302), (2, 200)):
        client.cookies.load(cookies[number])
        assert client.get("/").status_code == status, number


def test_half_an_answer_is_an_error_and_changes_nothing(slapd, directory):
    people(slapd, *(f"user{number}" for number in range(12)))
    look(directory)
    directory.config["bind_dn"] = LIMITED_DN  # is given five entries, and then told that there are more
    directory.save()
    directory.refresh_from_db()
    directory.sync_asked = "full"
    with pytest.raises(Unavailable):
        follow(directory)
    assert User.objects.filter(directory=directory, is_active=True).count() == 12
    directory.refresh_from_db()
    assert directory.sync_error["code"] == "unavailable"


def test_who_was_put_in_by_hand_stays_and_nothing_is_put_in_twice(slapd, directory, world):
    ann, ben = people(slapd, "ann", "ben")
    devs = slapd.group("devs", ann)
    look(directory)
    group = Group.objects.get(directory=directory, name="devs")
    group.members.add(world.charlie, User.objects.get(username="ben"))
    slapd.change(devs, member=[ann, ben])
    look(directory)
    assert members(directory, "devs") == {"ann", "ben", "charlie"}
    slapd.change(devs, member=[ann])
    look(directory)
    assert members(directory, "devs") == {"ann", "ben", "charlie"}
    assert Membership.objects.filter(group=group).count() == 3


def test_a_directory_that_is_down_holds_up_no_other_and_is_told_once(slapd, make_directory):
    slapd.person("ann")
    make_directory("Broken", servers=["ldap://127.0.0.1:1"])
    make_directory("Good")
    for _ in range(2):
        assert follow_all() == 2  # the good one, and the local one, which follows nobody
    assert User.objects.filter(username="ann").exists()
    assert Event.objects.filter(kind="directory.down").count() == 1


def test_a_thousand_come_in_pages(slapd, directory):
    for number in range(1100):
        slapd.person(f"u{number:04}")
    dns = [f"uid=u{number:04},{PEOPLE}" for number in range(1100)]
    slapd.group("all", *dns)
    look(directory)
    assert len(members(directory, "all")) == 1100
    slapd.clear()


def test_bits_name_their_places():
    assert bulk.at("abcd", 0b1010) == ["b", "d"]
    assert bulk.at("abcd", 0) == []
    assert [len(batch) for batch in bulk.batches(range(1001))] == [500, 500, 1]


def test_names_of_entries_in_another_form_are_the_same():
    from broker.directories.kinds.ldap.roster import plain

    assert plain("CN=Ann\\, B,  OU=People,DC=x") == plain("cn=ann\\2C b,ou=people,dc=x")
    assert ldap.dn.is_dn("cn=x")
