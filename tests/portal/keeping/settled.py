"""The rows before a backup and those after its restore: the same, but for what a restore must forget."""

CHANGED = {
    "jobs_job",
    "pools_sitting",
    "virt_host",
    "virt_virtualmachine",
    "virt_hosthealth",
    "virt_hawatch",
    "virt_recovery",
    "events_event",
}
EMPTIED = {"django_session", "jobs_duty", "virt_monitorprocess", "virt_hostsign"}


def compare(before: dict[str, list[str]], after: dict[str, list[str]]) -> None:
    assert before.keys() == after.keys() and len(before) > 60
    assert before["directories_user"] and before["virt_virtualmachine"] and before["virt_authority"]
    wrong = [name for name in before if name not in CHANGED | EMPTIED and before[name] != after[name]]
    assert not wrong, wrong
    for name in CHANGED - {"events_event"}:
        assert len(before[name]) == len(after[name]), name
    assert not [name for name in EMPTIED if after[name]]
    more = set(after["events_event"]) - set(before["events_event"])
    assert set(before["events_event"]) <= set(after["events_event"])
    assert len(more) == 1 and "manager.restored" in more.pop()
