"""The pages of notifications: made, shown, tested, switched off and removed by forms; others' are not seen."""

from django.urls import reverse

from broker.notifications.models import Subscription

GIVEN = {
    "name": "Ops", "way": "webhook", "target": "https://example.org/hook", "severity": "error",
    "kinds": "vm.* host.lost", "object_kind": "", "object_id": "", "secret": "a key of some length", "site": "on",
}  # fmt: skip


def test_a_subscription_from_first_to_last(site):
    root, listing = site.client("root"), reverse("portal:subscriptions")
    assert root.post(reverse("portal:subscription-new"), {**GIVEN, "target": "https://10.0.0.1/"}).status_code == 400
    assert root.post(reverse("portal:subscription-new"), GIVEN).status_code == 302
    row = Subscription.objects.get()
    assert (row.owner, row.kinds, row.severity) == (None, ["host.lost", "vm.*"], "error")
    page = root.get(listing).content.decode()
    assert "https://example.org/hook" in page and "Nothing told yet" in page
    edit = reverse("portal:subscription-edit", args=[row.pk])
    form = root.get(edit).content.decode()
    assert "host.lost vm.*" in form and "a key of" not in form
    assert root.post(edit, {**GIVEN, "name": "Night", "secret": ""}).status_code == 302
    kept = row.secret
    row.refresh_from_db()
    assert (row.name, row.secret) == ("Night", kept)
    for verb, words in (("test", "Test under way"), ("off", "Off"), ("on", "Test under way")):
        assert root.post(reverse("portal:subscription-deed", args=[row.pk, verb])).status_code == 302
        assert words in root.get(listing).content.decode()
    Subscription.objects.update(failures=2, error="the target answered 503", test_asked=False)
    assert "the target answered 503" in root.get(listing).content.decode()
    root.post(reverse("portal:subscription-deed", args=[row.pk, "delete"]))
    assert not Subscription.objects.exists()


def test_others_neither_see_nor_change_it(site):
    row = Subscription.objects.create(name="theirs", way="mail", target="x@example.org")
    for who in ("alice", "bob"):
        client = site.client(who)
        assert "theirs" not in client.get(reverse("portal:subscriptions")).content.decode()
        assert client.get(reverse("portal:subscription-edit", args=[row.pk])).status_code == 404
        assert client.get(reverse("portal:subscription-new")).status_code in (403, 404)
        assert client.post(reverse("portal:subscription-deed", args=[row.pk, "delete"])).status_code == 404
    assert Subscription.objects.exists()
