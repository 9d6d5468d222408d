"""What a German reader sees in the back office of states, choices and roles; what is stored stays as it is."""

import pytest
from django.urls import reverse
from django.utils import translation

from broker.access.models import Grant, Role
from broker.access.roles import BUILTIN
from broker.events.models import Event
from broker.virt.models import AffinityGroup, VirtualMachine
from portal.back_office_names import CHOICES

from .test_languages import GERMAN, texts_of

LISTS = (
    "virt_virtualmachine", "virt_host", "virt_storagedomain", "virt_templateversion", "jobs_job", "access_role",
    "access_grant", "connections_session", "pools_pool", "pools_desktop", "events_event", "virt_affinitygroup",
    "virt_image", "backups_backup",
)  # fmt: skip
ENGLISH = CHOICES | {title for title, _ in BUILTIN.values()}


@pytest.fixture(autouse=True)
def _english_again():
    """A request leaves its language set in the thread."""
    yield
    translation.activate("en")


def read(site, name: str, *args) -> set[str]:
    answer = site.client("root").get(reverse(f"admin:{name}", args=args), headers=GERMAN)
    assert answer.status_code == 200, name
    return texts_of(answer.content.decode())


def test_states_choices_and_roles_are_german_in_lists_filters_and_forms(site):
    VirtualMachine.objects.filter(pk=site.desktop.pk).update(state="creating", power_state="crashed")
    group = AffinityGroup.objects.create(cluster=site.world.cluster, name="g", machine_rule="apart")
    left = {name: found for name in LISTS if (found := read(site, f"{name}_changelist") & ENGLISH)}
    assert left == {}
    assert {"wird angelegt", "abgestürzt"} <= read(site, "virt_virtualmachine_changelist")
    administrator = BUILTIN["admin"][0]
    with translation.override("de"):
        german = translation.gettext(administrator)
    role = Role.objects.get(name="admin")
    for name in ("access_role_changelist", "access_grant_changelist", "access_grant_add"):
        texts = read(site, name)
        assert german in texts and administrator not in texts, name
    assert german in read(site, "access_role_change", role.pk)
    assert read(site, "virt_affinitygroup_change", group.pk) & ENGLISH == set()
    assert Role.objects.get(name="admin").title == administrator == str(role)


def test_a_role_that_somebody_made_is_called_as_they_wrote_it(site):
    role = Role.objects.create(name="mine", title="Auditor (reads everything, changes nothing)", verbs=["vm.view"])
    assert role.title in read(site, "access_role_changelist")


def test_nothing_german_is_stored_by_who_reads_german(site):
    client, role = site.client("root"), Role.objects.get(name="auditor")
    wish = {"role": str(role.pk), "user": str(site.world.bob.pk), "group": "", "object_kind": "system", "object_id": ""}
    answer = client.post(reverse("admin:access_grant_add"), wish, headers=GERMAN)
    assert answer.status_code == 302 and Grant.objects.filter(role=role, user=site.world.bob).exists()
    with translation.override("de"):
        german = translation.gettext(role.title)
    for event in Event.objects.all():
        assert german not in str((event.subject_name, event.template, event.params))
