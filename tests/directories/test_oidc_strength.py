"""How strongly somebody signed in at their provider (acr, amr), and how long their API tokens count afterwards."""

from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib.auth import SESSION_KEY
from django.test import Client
from django.urls import reverse

from broker.access.actor import Actor
from broker.core import clock
from broker.core.errors import Invalid
from broker.directories.actions.edit_directory import edit_directory
from broker.directories.demands import hit_by, lacking, lacks
from broker.directories.kinds import KINDS
from broker.directories.models import Directory, User
from portal.models import ApiToken
from tests.portal.api.conftest import Caller

from .test_oidc import enter, go

SET_UP = "portal:sign-in-set-up"


def erin() -> User:
    return User.objects.get(username="erin")


class TestWays:
    def test_they_are_asked_for_and_without_demand_do_not_matter(self, provider, make):
        directory = make(acr_values="urn:gold urn:silver")
        assert parse_qs(urlsplit(go(Client(), directory)).query)["acr_values"] == ["urn:gold urn:silver"]
        assert enter(provider, directory)[1].status_code == 302
        assert "acr_values" not in parse_qs(urlsplit(go(Client(), make(name="plain"))).query)

    @pytest.mark.parametrize("acr", ["urn:bronze", "urn:gold urn:silver", "", None, 1, True, ["urn:gold"], {"x": 1}])
    def test_who_came_in_by_another_way_is_refused_with_a_reason(self, provider, make, acr):
        directory = make(acr_values="urn:gold urn:silver", acr_required=True)
        provider.more["acr"] = acr
        client, refused = enter(provider, directory)
        assert refused.status_code == 403 and SESSION_KEY not in client.session
        assert "in a way that is accepted here" in refused.content.decode()
        assert not User.objects.filter(username="erin").exists()
        provider.more["acr"] = "urn:silver"
        assert enter(provider, directory)[1].status_code == 302

    def test_only_what_is_signed_counts(self, provider, make):
        directory = make(acr_values="urn:gold", acr_required=True, trust_amr=True)
        Directory.objects.filter(pk=directory.pk).update(second_factor=True)
        provider.more |= {"groups": None, "userinfo": {"acr": "urn:gold", "amr": ["mfa"]}}
        assert enter(provider, directory)[1].status_code == 403
        provider.more["acr"] = "urn:gold"
        assert enter(provider, directory)[1].url == reverse(SET_UP)

    @pytest.mark.parametrize(
        "config", [{"acr_required": True}, {"acr_values": "a  b"}, {"acr_values": 'a"'}, {"token_days": 366},
                   {"token_days": -1}, {"trust_amr": "yes"}],
    )  # fmt: skip
    def test_settings_that_cannot_be_are_refused(self, provider, config):
        with pytest.raises(Invalid):
            KINDS.get("oidc").cleaned(provider.config(**config))


class TestSecondFactorThere:
    def demanding(self, make, **config) -> Directory:
        directory = make(**config)
        Directory.objects.filter(pk=directory.pk).update(second_factor=True)
        return Directory.objects.get(pk=directory.pk)

    @pytest.mark.parametrize("amr", [["pwd", "mfa"], ["otp"], ["hwk"], ["sc", 7]])
    def test_it_meets_the_demand_where_it_counts(self, provider, make, amr):
        provider.more["amr"] = amr
        assert enter(provider, self.demanding(make, name="strict"))[1].url == reverse(SET_UP)
        directory = self.demanding(make, trust_amr=True)
        provider.people["erin"]["preferred_username"] = "erin-there"
        provider.people["erin"]["sub"] = "other"
        client, done = enter(provider, directory, next="/account/")
        assert done.url == "/account/" and client.get("/account/").status_code == 200
        user = User.objects.get(username="erin-there")
        assert not lacks(user, Actor.for_user(user)) and not lacking([user]) and not hit_by(directory).exists()

    @pytest.mark.parametrize("amr", [None, [], ["pwd"], ["sms"], "mfa", {"mfa": True}, [["mfa"]], ["MFA"], True])
    def test_anything_else_does_not(self, provider, make, amr):
        provider.more["amr"] = amr
        client, done = enter(provider, self.demanding(make, trust_amr=True))
        assert done.url == reverse(SET_UP) and SESSION_KEY not in client.session
        assert lacking([erin()])

    def test_a_later_sign_in_without_it_ends_what_was_met(self, provider, make):
        directory = self.demanding(make, trust_amr=True)
        provider.more["amr"] = ["mfa"]
        client, _done = enter(provider, directory)
        assert client.get("/account/").status_code == 200
        provider.more["amr"] = ["pwd"]
        assert enter(provider, directory)[1].url == reverse(SET_UP)
        assert client.get("/account/").status_code == 302

    def test_turning_it_off_counts_at_once(self, provider, make, world):
        directory = self.demanding(make, trust_amr=True)
        provider.more["amr"] = ["mfa"]
        client, _done = enter(provider, directory)
        edit_directory(actor=world.actor("root"), directory=directory, config={**directory.config, "trust_amr": False})
        assert client.get("/account/").status_code == 302 and lacking([erin()])

    def test_a_sign_in_from_before_the_demand_is_not_lifted_by_another(self, provider, make):
        directory = make(trust_amr=True)
        provider.more["amr"] = ["pwd"]
        weak, _done = enter(provider, directory)
        Directory.objects.filter(pk=directory.pk).update(second_factor=True)
        provider.more["amr"] = ["mfa"]
        strong, _done = enter(provider, directory)
        assert [one.get("/account/").status_code for one in (weak, strong)] == [302, 200]

    def test_who_has_berths_own_is_asked_for_it(self, provider, make):
        directory = self.demanding(make, trust_amr=True)
        provider.more["amr"] = ["mfa"]
        enter(provider, directory)
        User.objects.filter(username="erin").update(second_factor_at=clock.now())
        assert enter(provider, directory)[1].url == reverse("portal:sign-in-code")


class TestTokens:
    def caller(self, user: User) -> Caller:
        _row, secret = ApiToken.objects.create(user=user, name="script", expiry=timedelta(days=300))
        return Caller(secret)

    @pytest.mark.parametrize(("config", "days"), [({}, 30), ({"token_days": 2}, 2), ({"token_days": 0}, 0)])
    def test_they_count_so_long_after_the_last_sign_in(self, provider, make, config, days):
        directory = make(**config)
        client, _done = enter(provider, directory)
        caller, now = self.caller(erin()), clock.now()
        assert caller.get("me/").status_code == 200
        User.objects.filter(username="erin").update(last_login=now - timedelta(days=days or 290, minutes=-5))
        assert caller.get("me/").status_code == 200
        User.objects.filter(username="erin").update(last_login=now - timedelta(days=days or 290, minutes=5))
        answer = caller.get("me/")
        assert answer.status_code == (403 if days else 200)
        if days:
            assert answer.json()["rule"] == "access.token-age" and "Corporate" in answer.json()["detail"]
            enter(provider, directory)
            assert caller.get("me/").status_code == 200, "signing in again is enough"
            assert "Yours count until" in client.get("/account/").content.decode()

    def test_rows_from_before_the_setting_have_the_usual_one(self, provider, make):
        directory = make()
        enter(provider, directory)
        kept = {name: value for name, value in directory.config.items() if name != "token_days"}
        Directory.objects.filter(pk=directory.pk).update(config=kept)
        User.objects.filter(username="erin").update(last_login=clock.now() - timedelta(days=31))
        assert self.caller(erin()).get("me/").status_code == 403

    def test_local_people_are_not_meant(self, world):
        User.objects.filter(pk=world.alice.pk).update(last_login=clock.now() - timedelta(days=300))
        assert self.caller(world.alice).get("me/").status_code == 200
