"""What somebody meets who tries the sign-in page from outside: guesses, strange names, clocks, forged headers.

Rows S31, S35, S36, S37, S38, S43.
"""

import asyncio
import math
import time

import pytest
from django.conf import settings as django_settings
from django.contrib.auth import authenticate
from django.contrib.auth.hashers import get_hasher
from django.contrib.sessions.models import Session as WebSession
from django.test import Client, RequestFactory
from django.urls import reverse

from broker.directories.devices import COOKIE
from broker.directories.models import TryCount
from broker.directories.throttle import NAME, PLACE
from broker.events.models import Event
from portal.processes import web
from tests.world import PASSWORD

ATTACKER = "203.0.113.9"
MOST_PAIRS = 150


def knock(name: str, password: str, *, client: Client | None = None, address: str = ATTACKER, **headers):
    """One sign-in through the page."""
    body = {"username": name, "password": password}
    return (client or Client()).post(reverse("portal:sign-in"), body, REMOTE_ADDR=address, **headers)


def test_who_guesses_has_to_wait_and_is_told_kindly(world):
    for _again in range(PLACE.free):
        assert knock("alice", "wrong").status_code == 400
    answer = knock("alice", PASSWORD)
    text = answer.content.decode()
    assert answer.status_code == 429
    assert int(answer["Retry-After"]) >= 1
    assert "Please wait" in text
    assert 'value="alice"' in text
    assert PASSWORD not in text
    assert not WebSession.objects.exists()
    assert Event.objects.filter(kind="user.sign-in-throttled").count() == 1


def test_the_one_it_is_about_signs_in_meanwhile_from_her_own_browser_and_from_elsewhere(world):
    browser = Client()
    assert knock("alice", PASSWORD, client=browser, address="192.0.2.1").status_code == 302
    for _again in range(2 * PLACE.free):
        knock("alice", "wrong", address="192.0.2.1")
    for number in range(NAME.free + 5):
        knock("alice", "wrong", address=f"198.51.100.{number}")
    browser.post(reverse("portal:sign-out"))
    assert knock("alice", PASSWORD, address="203.0.113.77").status_code == 429
    assert knock("alice", PASSWORD, client=browser, address="192.0.2.1").status_code == 302


def test_a_browser_cannot_make_itself_known(world):
    browser = Client()
    assert knock("alice", PASSWORD, address="192.0.2.1", client=browser).status_code == 302
    cookie = browser.cookies[COOKIE]
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"
    liar = Client()
    liar.cookies[COOKIE] = cookie.value.partition(":")[0] + ":forged"
    for number in range(NAME.free + 5):
        knock("alice", "wrong", address=f"198.51.100.{number}")
    assert knock("alice", PASSWORD, client=liar).status_code == 429


def test_answers_do_not_tell_who_exists(world):
    world.bob.is_active = False
    world.bob.save()

    def told(name: str, password: str) -> tuple[int, str]:
        answer = knock(name, password, address=f"198.51.100.{len(name)}")
        text = answer.content.decode().replace(name, "NAME")
        return answer.status_code, "\n".join(line for line in text.splitlines() if "csrf" not in line)

    unknown = told("nobody", "no")
    assert told("alice", "no") == unknown
    assert told("bob", PASSWORD) == unknown
    for name in ("nobody", "alice"):
        for _again in range(PLACE.free + 1):
            knock(name, "no", address="192.0.2.250")
    refused = {name: told_again(name) for name in ("nobody", "alice")}
    assert refused["nobody"] == refused["alice"] == 429


def told_again(name: str) -> int:
    return knock(name, "no", address="192.0.2.250").status_code


def test_each_answer_costs_one_hash_whether_the_name_exists_or_not(world, monkeypatch):
    hashed = []
    hasher = type(get_hasher())
    encode = hasher.encode
    monkeypatch.setattr(hasher, "encode", lambda self, *args, **more: hashed.append(1) or encode(self, *args, **more))
    world.bob.is_active = False
    world.bob.save()
    world.charlie.set_unusable_password()
    world.charlie.save()
    costs = {}
    for name in ("nobody", "alice", "bob", "charlie"):
        hashed.clear()
        assert authenticate(None, username=name, password="not this one") is None
        costs[name] = len(hashed)
    assert set(costs.values()) == {1}, costs


def _sure_of_median(values: list[float]) -> tuple[float, float]:
    """Between which two the median of what they were drawn from lies, 99 times of 100, whatever its distribution:
    the number of values below it is binomial."""
    ordered, count = sorted(values), len(values)
    tail, low = 0.5**count, 0
    while tail <= 0.005 and low < count // 2:
        low += 1
        tail += math.comb(count, low) * 0.5**count
    return ordered[max(low - 1, 0)], ordered[-max(low, 1)]


def _ratio_of_times(one: str, other: str) -> tuple[float, float]:
    """The median of how many times as long one name takes as the other, as an interval: in pairs, in turns, by
    processor time, until the interval is narrow enough to tell a tenth."""
    ratios: list[float] = []
    low, high = 0.0, math.inf
    while high - low > 0.08 and len(ratios) < MOST_PAIRS:
        took = {}
        for name in (one, other) if len(ratios) % 2 else (other, one):
            TryCount.objects.all().delete()
            began = time.process_time()
            assert authenticate(None, username=name, password="not this one") is None
            took[name] = time.process_time() - began
        ratios.append(took[one] / took[other])
        if len(ratios) >= 20:
            low, high = _sure_of_median(ratios)
    return low, high


def test_times_do_not_tell_who_exists(world, settings, monkeypatch):
    """S34: no tenth of a difference; and the measure would see one, for without the counter-measure it does."""
    settings.PASSWORD_HASHERS = ["tests.hashing.CostlyEnough"]
    world.alice.set_password(PASSWORD)
    world.alice.save()
    low, high = _ratio_of_times("alice", "nobody")
    assert low < 1.1 and high > 0.9, (low, high)
    monkeypatch.setattr("broker.directories.backend.make_password", lambda password: "")
    low, _high = _ratio_of_times("alice", "nobody")
    assert low > 1.1, low


@pytest.mark.parametrize(
    "name",
    ["*", "*)(uid=*", "a)(|(cn=*))", "alice\0", "cn=alice,dc=example", "x" * 10_000, "\r\nroot", "\x1b[2J", "%s%(x)s"],
)
def test_strange_names_are_plain_failures(world, name):
    answer = knock(name, "no")
    assert answer.status_code == 400
    for event in Event.objects.all():
        assert event.message.isprintable()


@pytest.mark.parametrize("password", [" ", "\t", "\0", "x" * 2000])
def test_blank_and_strange_passwords_are_refused(world, password):
    assert knock("alice", password).status_code == 400


def test_looking_at_the_page_leaves_nothing_behind(world):
    client = Client()
    for number in range(200):
        assert client.get(reverse("portal:sign-in"), {"next": f"/vms/{number}"}).status_code == 200
    assert not WebSession.objects.exists()
    assert not TryCount.objects.exists()


def test_a_session_that_was_there_before_is_not_the_one_after(world):
    victim = Client()
    victim.session.save()
    planted = victim.session.session_key
    victim.cookies[django_settings.SESSION_COOKIE_NAME] = planted
    assert knock("alice", PASSWORD, client=victim).status_code == 302
    assert victim.session.session_key != planted
    other = Client()
    other.cookies[django_settings.SESSION_COOKIE_NAME] = planted
    assert other.get("/").status_code == 302


def test_old_cookies_are_dead_after_signing_out_and_after_a_new_password(world):
    first, second = Client(), Client()
    for client in (first, second):
        assert knock("alice", PASSWORD, client=client).status_code == 302
    old = first.cookies[django_settings.SESSION_COOKIE_NAME].value
    first.post(reverse("portal:sign-out"))
    first.cookies[django_settings.SESSION_COOKIE_NAME] = old
    assert first.get("/").status_code == 302
    assert second.get("/").status_code == 200
    world.alice.set_password("another long password")
    world.alice.save()
    assert second.get("/").status_code == 302


def test_a_foreign_page_cannot_sign_somebody_in(world):
    client = Client(enforce_csrf_checks=True)
    assert knock("alice", PASSWORD, client=client).status_code == 403
    assert client.get(reverse("portal:sign-out")).status_code in (302, 405)
    assert not WebSession.objects.exists()


def test_forged_forwarding_headers_do_not_change_who_is_counted(world):
    for number in range(PLACE.free):
        knock("alice", "wrong", HTTP_X_FORWARDED_FOR=f"198.51.100.{number}", HTTP_X_REAL_IP="198.51.100.1")
    assert knock("alice", "wrong", HTTP_X_FORWARDED_FOR="198.51.100.200").status_code == 429


def test_a_forged_scheme_and_host_are_ignored(world):
    request = RequestFactory().get("/", HTTP_X_FORWARDED_PROTO="https", HTTP_X_FORWARDED_HOST="evil.example")
    assert not request.is_secure()
    assert request.get_host() == "testserver"
    assert Client().get(reverse("portal:sign-in"), HTTP_HOST="evil.example").status_code == 400


@pytest.mark.parametrize(
    ("behind", "peer", "expected"),
    [
        (True, "10.1.2.3", ("https", "192.0.2.9")),
        (True, "198.51.100.1", ("http", "198.51.100.1")),
        (False, "10.1.2.3", ("http", "10.1.2.3")),
    ],
)
def test_only_configured_proxies_are_believed(monkeypatch, behind, peer, expected):
    seen = {}

    async def inner(scope, receive, send):
        seen.update(scope)

    given = web.env.model_copy(update={"behind_proxy": behind, "trusted_proxies": ["10.1.0.0/16"]})
    monkeypatch.setattr(web, "env", given)
    config = web.Web("127.0.0.1:0", "/nowhere").config
    config.app, config.interface = inner, "asgi3"
    config.load()
    headers = [(b"x-forwarded-for", b"6.6.6.6, 192.0.2.9"), (b"x-forwarded-proto", b"https")]
    scope = {"type": "http", "scheme": "http", "client": (peer, 4711), "headers": headers, "path": "/"}
    asyncio.run(config.loaded_app(scope, None, None))
    assert (seen["scheme"], seen["client"][0]) == expected


def test_bad_api_tokens_one_after_the_other_have_to_wait_and_good_ones_never(world, settings):
    from portal.tokens import create_token

    settings.SIGN_IN_TRIES = 5
    _row, good = create_token(actor=world.actor("alice"), name="script", days=1)
    statuses = [
        Client().get("/api/v1/me/", HTTP_AUTHORIZATION=f"Bearer {number:064d}", REMOTE_ADDR=ATTACKER).status_code
        for number in range(10)
    ]
    assert statuses == [401] * 5 + [429] * 5
    answer = Client().get("/api/v1/me/", HTTP_AUTHORIZATION="Bearer x", REMOTE_ADDR=ATTACKER)
    assert int(answer["Retry-After"]) >= 1
    assert answer.json()["code"] == "throttled"
    assert Client().get("/api/v1/me/", HTTP_AUTHORIZATION=f"Bearer {good}", REMOTE_ADDR=ATTACKER).status_code == 200


def test_the_old_password_cannot_be_guessed_at_an_open_browser(world):
    client = Client()
    client.force_login(world.root)
    address, codes = reverse("admin:password_change"), []
    for _again in range(PLACE.free + 2):
        body = {"old_password": "no", "new_password1": "a new long password", "new_password2": "a new long password"}
        codes.append(client.post(address, body).status_code)
    assert codes == [200] * PLACE.free + [302] * 2
    world.root.refresh_from_db()
    assert world.root.check_password(PASSWORD)
