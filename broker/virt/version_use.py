"""Who keeps a template, or some of its versions, from being deleted; named as far as the actor may see them."""

from collections.abc import Iterable
from typing import Any

from django.db import models

from broker.access.actor import Actor
from broker.access.require import visible_to
from broker.core.errors import Conflict, Reason
from broker.core.reasons import MOST_NAMED as MOST_REASONS
from broker.core.reasons import Count
from broker.core.text import gettext_noop as N_
from broker.events.record import subject_kind

MOST_NAMED = 5
_RULE = "version.in-use"
_USES = N_("uses it")


def refuse_if_needed(actor: Actor, thing: models.Model, parts: Iterable[models.Model]) -> None:
    """Raise Conflict when anything refers to one of `parts` (rows of any models) and protects it.

    Who does is counted; those that `actor` may see are named, MOST_NAMED of each kind in the sentence.
    """
    reasons: list[Reason] = []
    counts: list[Count] = []
    sentences: list[str] = []
    for rows in _referring(parts):
        if not (count := rows.count()):
            continue
        seen = visible_to(actor, rows)
        kind = subject_kind(rows.model())
        few = [Reason(str(row), _RULE, _USES, kind=kind, id=row.pk, words=_USES) for row in seen[:MOST_REASONS]]
        reasons += few
        counts.append(Count(kind, _RULE, _USES, count))
        sentences.append(_sentence(rows.model, count, [one.subject for one in few[:MOST_NAMED]]))
    if counts:
        raise Conflict(
            N_("%(name)s is in use by %(users)s."),
            rule=_RULE,
            fix=N_("Have those use another version, or remove them first."),
            reasons=reasons,
            counts=counts,
            name=str(thing),
            users="; ".join(sentences),
        )


def _referring(parts: Iterable[models.Model]) -> list[models.QuerySet[Any]]:
    """For each kind of row that protects one of `parts`, those rows."""
    pks: dict[type[models.Model], list[Any]] = {}
    for part in parts:
        pks.setdefault(type(part), []).append(part.pk)
    found: dict[type[models.Model], models.QuerySet[Any]] = {}
    for model, ids in pks.items():
        for relation in model._meta.related_objects:
            if relation.on_delete is not models.PROTECT:
                continue
            rows = relation.related_model._default_manager.filter(**{f"{relation.field.name}__in": ids})
            before = found.get(relation.related_model)
            found[relation.related_model] = rows if before is None else before | rows
    return list(found.values())


def _sentence(model: type[models.Model], count: int, names: list[str]) -> str:
    meta = model._meta
    told = f"{count} {meta.verbose_name if count == 1 else meta.verbose_name_plural}"
    if not names:
        return told
    more = f", … (+{count - len(names)})" if count > len(names) else ""
    return f"{told}: {', '.join(names)}{more}"
