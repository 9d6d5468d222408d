"""Event: one thing that happened, who did it and to what. Rows are only ever added.

`explanation` says of a refusal what was looked at, as BerthError.as_dict() has it: whole, to be cut for the reader.
`position` and `digest` chain the rows; `seal.py` fills them shortly after the commit, so that writers
never wait for each other.
"""

from typing import Any

from django.db import models
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

BY_TOKEN = "token"  # noqa: S105 - a name
"""The parameter that names the API token by which something was done."""
SENTENCES = ("cause", "job")
"""Parameters that are kept in English, as their templates are, and told in the reader's language."""


class Severity(models.TextChoices):
    INFO = "info", _("Information")
    WARNING = "warning", _("Warning")
    ERROR = "error", _("Error")


class Event(models.Model):
    at = models.DateTimeField(db_index=True)
    kind = models.CharField(max_length=64, db_index=True)
    severity = models.CharField(max_length=8, choices=Severity, default=Severity.INFO)
    actor = models.ForeignKey("directories.User", null=True, on_delete=models.SET_NULL, related_name="+")
    actor_name = models.CharField(max_length=255)
    address = models.GenericIPAddressField(null=True)
    subject_kind = models.CharField(max_length=32, blank=True)
    subject_id = models.UUIDField(null=True)
    subject_name = models.CharField(max_length=255, blank=True)
    template = models.TextField()
    params = models.JSONField(default=dict)
    explanation = models.JSONField(null=True, editable=False)
    correlation = models.CharField(max_length=64, blank=True, db_index=True)
    position = models.BigIntegerField(null=True, unique=True)
    digest = models.CharField(max_length=64, blank=True)

    class Meta:
        ordering = ("-id",)
        indexes = (models.Index(fields=("subject_kind", "subject_id", "-id")),)

    def __str__(self) -> str:
        return f"{self.kind}: {self.message}"

    @property
    def message(self) -> str:
        """The sentence, translated to the reader's language."""
        text = gettext(self.template)
        return text % self.told if self.params else text

    @property
    def told(self) -> dict[str, Any]:
        """The parameters; those that are sentences of ours, why something failed and what a job does, translated."""
        found = {name: gettext(text) for name in SENTENCES if (text := self.params.get(name))}
        error = self.explanation or {}
        template, params = str(error.get("message") or ""), error.get("params")
        # A sentence with numbers and names in it is made anew of its template, where that was kept.
        if params and self.params.get("cause") == template % params:
            found["cause"] = gettext(template) % params
        return {**self.params, **found}

    @property
    def token(self) -> str:
        """The API token by which it was done; empty when by none."""
        return str(self.params.get(BY_TOKEN, ""))

    @property
    def by(self) -> str:
        """Who did it, and by which API token of theirs if by one."""
        if not self.token:
            return self.actor_name
        return gettext("%(name)s, token %(token)s") % {"name": self.actor_name, "token": self.token}

    def sealed_content(self) -> list[Any]:
        """What the digest covers: everything but the chain itself."""
        content = [
            self.pk, self.at.isoformat(), self.kind, self.severity, self.actor_name, self.address or "",
            self.subject_kind, str(self.subject_id or ""), self.subject_name, self.template, self.params,
            self.correlation,
        ]  # fmt: skip
        return content if self.explanation is None else [*content, self.explanation]


class ChainCheck(models.Model):
    """One row: the pass over the chain that is under way, and what the last one came to (see checking.py)."""

    asked = models.BooleanField(default=False)
    under_way = models.BooleanField(default=False)
    position = models.BigIntegerField(default=0)
    digest = models.CharField(max_length=64, blank=True)
    began_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    problem = models.CharField(max_length=12, blank=True)
    wrong_id = models.BigIntegerField(null=True)
    wrong_kind = models.CharField(max_length=64, blank=True)
    good_position = models.BigIntegerField(default=0)
    good_digest = models.CharField(max_length=64, blank=True)

    def __str__(self) -> str:
        return f"intact up to {self.good_position}"
