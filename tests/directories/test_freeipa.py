"""A slapd in the shape of a FreeIPA: its ids, its lock, its two expirations, and groups in groups."""

import uuid

import pytest

from broker.directories.kinds.ldap import KIND
from broker.directories.kinds.ldap.config import parse
from broker.directories.kinds.ldap.entries import user_attributes
from broker.directories.kinds.ldap.sync import follow
from broker.directories.models import User
from tests.servers.slapd import GROUPS, PEOPLE

PASSWORD = "secret of theirs"
LONG_AGO, FAR_AWAY = "20200101000000Z", "20990101000000Z"


@pytest.fixture
def ipa(slapd, make_directory):
    """What is left out has FreeIPA's defaults, the group filter and the id among them."""
    return make_directory(flavour="freeipa", user_filter="(objectClass=krbPrincipalAux)")


def person(slapd, uid="erin", id="", **more):
    given = {"objectClass": ["inetOrgPerson", "ipaObject", "krbPrincipalAux"], "displayName": uid.title(),
             "ipaUniqueID": id or str(uuid.uuid4())}  # fmt: skip
    return slapd.person(uid, **(given | more))


def group(slapd, cn, *members):
    return slapd.add(
        f"cn={cn},{GROUPS}", objectClass=["ipaUserGroup", "ipaObject"], cn=cn, member=list(members),
        ipaUniqueID=str(uuid.uuid4()),
    )  # fmt: skip


def enter(directory, name="erin", password=PASSWORD):
    return KIND.authenticate(directory, name, password, seconds=20.0)


def look(directory):
    directory.refresh_from_db()
    return follow(directory)


def test_what_is_asked_for_by_name():
    config = parse({"flavour": "freeipa", "servers": ["ldaps://ipa.example.org"], "user_base": PEOPLE})
    assert {"ipaUniqueID", "nsAccountLock", "krbPasswordExpiration", "krbPrincipalExpiration"} <= set(
        user_attributes(config)
    ), "some are operational: a server tells them only to who names them"


@pytest.mark.parametrize(
    "attributes, may, stays",
    [
        ({}, True, True),
        ({"nsAccountLock": "FALSE"}, True, True),
        ({"nsAccountLock": "TRUE"}, False, False),
        ({"krbPrincipalExpiration": FAR_AWAY, "krbPasswordExpiration": FAR_AWAY}, True, True),
        ({"krbPrincipalExpiration": LONG_AGO}, False, False),
        ({"krbPasswordExpiration": LONG_AGO}, False, True),
    ],
    ids=["plain", "not locked", "locked", "good for long", "account over", "password over"],
)
def test_who_comes_in_and_who_stays(slapd, ipa, attributes, may, stays):
    """A password that is over lets nobody in anew; who is signed in goes on. A lock puts out."""
    dn = person(slapd)
    user = enter(ipa)
    assert user is not None
    slapd.change(dn, **attributes)
    assert (enter(ipa) is not None) is may
    look(ipa)
    user.refresh_from_db()
    assert user.is_active is stays


def test_groups_in_groups_are_the_same_at_the_sign_in_and_in_the_sync(slapd, ipa):
    team = group(slapd, "team", person(slapd))
    group(slapd, "everybody", group(slapd, "department", team))
    user = enter(ipa)
    named = {"team", "department", "everybody"}
    assert set(user.directory_groups.values_list("name", flat=True)) == named
    look(ipa)
    assert set(user.directory_groups.values_list("name", flat=True)) == named


def test_the_id_is_the_person_whatever_the_name(slapd, ipa):
    id = str(uuid.uuid4())
    dn = person(slapd, id=id)
    user = enter(ipa)
    assert user.external_id == id
    slapd.root.rename_s(dn, "uid=erika")
    look(ipa)
    user.refresh_from_db()
    assert (user.username, enter(ipa, "erika")) == ("erika", user)
    slapd.root.delete_s(f"uid=erika,{PEOPLE}")
    person(slapd, "erika")
    again = enter(ipa, "erika")
    assert again.pk != user.pk, "the same name made anew is another person"
    assert User.objects.filter(directory=ipa).count() == 2
