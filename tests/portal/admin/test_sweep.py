"""The back office whole: every noun is in it or named with a reason; lists, rows and forms of all of them, filled."""

import ast
import inspect
import itertools
import uuid
from pathlib import Path

import pytest
from django.apps import apps
from django.db import IntegrityError, connection, models, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from broker.core import clock
from broker.events.models import Event
from broker.jobs.models import Job
from portal import admin as back_office
from portal.admin import site
from portal.admin.deeds import DEEDS
from portal.models import ApiToken
from portal.tokens import revoke_token

pytestmark = pytest.mark.urls("tests.portal.admin.urls")
MODELS = sorted(site._registry, key=lambda model: model._meta.label)
OURS = ("access", "backups", "connections", "directories", "events", "jobs", "notifications", "pools", "portal", "virt")

PART, INNER = "shown with what it belongs to", "how Berth works inside; nothing for people to look at"
ELSEWHERE = {
    "jobs.Step": PART, "virt.SnapshotDisk": PART, "virt.SetAside": PART, "virt.PendingChange": PART,
    "virt.DiskShare": PART, "virt.DeviceUse": PART, "virt.Tag": PART, "virt.OwnField": PART, "backups.BackupDisk": PART,
    "directories.Membership": PART, "pools.PoolForecast": PART, "pools.PoolGoal": PART, "pools.SessionRules": PART,
    "access.QuotaOverrun": PART, "pools.MetaMember": PART, "pools.BookingRules": PART,
    "directories.TryCount": INNER, "directories.KnownPlace": INNER, "virt.HostSign": INNER, "virt.HaWatch": INNER,
    "virt.LoadMark": INNER, "pools.Sitting": INNER, "connections.TimingTotal": INNER,
    "directories.ProviderAnswer": INNER,
    "virt.SshKey": "a private key, which is shown to nobody; the form of a new host shows the public one",
    "directories.SecondFactor": "a secret, which is shown to nobody", "directories.RecoveryCode": "digests of secrets",
    "virt.Authority": "a private key, which is shown to nobody",
}  # fmt: skip
_numbers = itertools.count(1)


def filled(model: type[models.Model], depth: int = 0, *, apart: bool = False, **given):
    """A row of `model` with something in each field that must have it, and rows it hangs on: `apart`, new ones."""
    number = next(_numbers)
    values = dict(given)
    for field in model._meta.concrete_fields:
        if field.name in values or field.has_default() or (field.null and not isinstance(field, models.ForeignKey)):
            continue
        if isinstance(field, models.ForeignKey):
            if not field.null or (depth == 0 and field.related_model is not model):
                values[field.name] = other(field, depth, apart)
        elif not isinstance(field, models.AutoField) and (value := plain(field, number)) is not None:
            values[field.name] = value
    return model._default_manager.create(**values)


def other(field, depth: int, apart: bool):
    there = None if field.one_to_one or apart else field.related_model._default_manager.first()
    return there or filled(field.related_model, depth + 1)


def plain(field, number: int):
    if field.choices:
        return field.flatchoices[0][0]
    if isinstance(field, models.UUIDField):
        return uuid.uuid4()
    if isinstance(field, models.GenericIPAddressField):
        return "192.0.2.1"
    if isinstance(field, models.DateTimeField):
        return clock.now()
    if isinstance(field, models.TimeField):
        return "03:00"
    if isinstance(field, (models.IntegerField, models.FloatField)):
        return number
    if isinstance(field, models.BooleanField):
        return False
    if isinstance(field, models.JSONField):
        return {}
    if isinstance(field, models.BinaryField):
        return b"x"
    return "" if field.blank else f"n{number}"[: field.max_length or None]


NEEDS = {
    "access.Grant": {"group": None},
    "access.Quota": {"group": None, "cluster": None},
    "virt.FloatingDisk": {"size_bytes": 1 << 30},
    "backups.BackupTarget": {"storage": None},
    "pools.Desktop": {"holder": None},
}  # fmt: skip


def fill(model, world, count: int):
    """So many more rows; where two cannot hang on the same others, each has its own. Returns the last one."""
    for _ in range(count):
        if model is ApiToken:
            row, _secret = ApiToken.objects.create(user=world.alice, name=f"n{next(_numbers)}")
            continue
        needs = NEEDS.get(model._meta.label, {})
        try:
            with transaction.atomic():
                row = filled(model, **needs)
        except IntegrityError:
            row = filled(model, apart=True, **needs)
    return row


def address(model, page, *args):
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=args)


def signed_in(user) -> Client:
    client = Client()
    client.force_login(user)
    return client


def test_every_noun_is_in_it_or_named_with_a_reason():
    nouns = {model._meta.label for model in apps.get_models() if model._meta.app_label in OURS}
    registered = {model._meta.label for model in MODELS}
    assert nouns - registered == set(ELSEWHERE)


def deeds_of(model) -> list[str]:
    found = [name for name in dir(site._registry[model]) if name.startswith("do_") and name.endswith("_to_many")]
    return [name.removeprefix("do_").removesuffix("_to_many") for name in found]


def test_lists_rows_and_forms_open_with_as_many_queries_however_long(world):
    root = signed_in(world.root)
    root.get(reverse("admin:index"))
    for model in MODELS:
        name, admin = model._meta.label, site._registry[model]
        fill(model, world, 2)
        root.get(address(model, "changelist"))
        with CaptureQueriesContext(connection) as few:
            page = root.get(address(model, "changelist"))
        assert page.status_code == 200 and "'unsafe-eval'" in page["Content-Security-Policy"], name
        row = fill(model, world, 4)
        with CaptureQueriesContext(connection) as many:
            root.get(address(model, "changelist"))
        assert len(many) <= len(few), (name, [query["sql"][:200] for query in many][len(few) // 2 :])
        assert root.get(address(model, "change", row.pk)).status_code == 200, name
        assert root.get(address(model, "add")).status_code == (200 if admin.addable else 403), name
        for deed in deeds_of(model)[:1]:
            page = f"/admin/{model._meta.app_label}/{model._meta.model_name}/{row.pk}/{deed}/"
            assert root.get(page).status_code == 200, (name, deed)


def test_an_auditor_looks_and_changes_nothing(world):
    world.grant(world.bob, "auditor")
    bob = signed_in(world.bob)
    for model in MODELS:
        row, name = fill(model, world, 1), model._meta.label
        before, jobs = model._default_manager.values().get(pk=row.pk), Job.objects.count()
        assert bob.get(address(model, "changelist")).status_code == 200, name
        assert bob.get(address(model, "change", row.pk)).status_code == 200, name
        assert bob.get(address(model, "add")).status_code == 403, name
        assert bob.post(address(model, "change", row.pk), {"name": "mine"}).status_code == 403, name
        assert bob.post(address(model, "delete", row.pk), {"post": "yes"}).status_code == 403, name
        for deed in deeds_of(model):
            page = f"/admin/{model._meta.app_label}/{model._meta.model_name}/{row.pk}/{deed}/"
            assert bob.post(page).status_code == 403, (name, deed)
        for deed in deeds_of(model)[-1:]:
            chosen = {"action": f"do_{deed}_to_many", "_selected_action": [str(row.pk)], "confirmed": "yes"}
            bob.post(address(model, "changelist"), chosen)
        assert model._default_manager.values().get(pk=row.pk) == before, name
        assert Job.objects.count() == jobs, name
    done = Event.objects.filter(actor_name="bob").exclude(kind__endswith=".refused").exclude(kind="user.signed-in")
    assert not done.exists(), list(done.values_list("kind", flat=True))


WRITES = {"save", "delete", "create", "bulk_create", "bulk_update", "get_or_create", "update_or_create", "execute"}


def test_nothing_in_it_writes_a_row_itself():
    """Not even a queryset's update: what is changed is changed by an action."""
    found = []
    for path in sorted(Path(inspect.getfile(back_office)).parent.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                asked = ast.unparse(node.func)
                if node.func.attr in WRITES or (node.func.attr == "update" and "objects" in asked):
                    found.append(f"{path.name}:{node.lineno} {asked}")
    assert found == []


def test_every_verb_is_an_action_and_names_its_consequence():
    """A verb is an action's function, or a few lines in the back office or for many machines that call one."""
    assert len(DEEDS) > 60
    for deed in DEEDS:
        assert str(deed.consequence).endswith("."), deed.name
        if ".actions." not in deed.call.__module__ and deed.call is not revoke_token:
            assert deed.call.__module__.startswith(("portal.admin.", "broker.virt.batches")), deed.call
            called = {
                node.id for node in ast.walk(ast.parse(inspect.getsource(deed.call))) if isinstance(node, ast.Name)
            }
            given = inspect.getmodule(deed.call).__dict__
            assert any(".actions." in getattr(given.get(name), "__module__", "") for name in called), deed.call
