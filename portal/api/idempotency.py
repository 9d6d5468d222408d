"""`Idempotency-Key`: the same call sent twice has one effect and one answer.

The key's row is written in the transaction of the call. Of two at the same time the second waits for the
first one's commit (a unique constraint) and is given its answer. A refused call leaves nothing behind:
sent again, it is judged again.
"""

import hashlib
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from broker.access.actor import Actor
from broker.core import clock
from broker.core.errors import BerthError, Conflict, Invalid
from broker.core.text import gettext_noop as N_
from portal.models import IdempotencyKey

from .problems import ReusedKey

HEADER = "Idempotency-Key"
LONGEST = 255
KEPT = timedelta(days=2)

Answer = Callable[..., Response]


def key_of(request: Request) -> str:
    """The key a call carries, or "". Raises Invalid for one that cannot be one."""
    key: str = request.headers.get(HEADER, "")
    if len(key) > LONGEST or not key.isprintable() or not key.isascii():
        raise Invalid(
            N_("This Idempotency-Key cannot be used."),
            field=HEADER,
            fix=N_("Use a UUID, or up to 255 printable characters."),
        )
    return key


def once(answer: Answer, *, key: str, actor: Actor, request: Request, secret: bool) -> Answer:
    """`answer`, which for this user's `key` runs once and is repeated from then on.

    A narrowed token is told nothing that was answered to a wider one: with another scope it is another call.
    """
    user_id = actor.user_id
    assert user_id is not None, "only people send keys"

    def run(*args: Any, **kwargs: Any) -> Response:
        digest = _digest(request, actor)
        with transaction.atomic():
            row = _claim(user_id, key, digest)
            if row is None:
                return _repeat(IdempotencyKey.objects.get(user_id=user_id, key=key), digest)
            try:
                response = answer(*args, **kwargs)
            except BerthError as error:
                # Committed and not rolled back: the action took back its own effects, and what it wrote about the
                # refusal shall stay.
                row.delete()
                refusal = error
            else:
                return _keep(row, response, secret)
        raise refusal

    return run


def forget_old_keys() -> int:
    """Duty: remove keys older than two days; returns how many."""
    removed, _ = IdempotencyKey.objects.filter(created_at__lt=clock.now() - KEPT).delete()
    return removed


def _claim(user_id: UUID, key: str, digest: str) -> IdempotencyKey | None:
    try:
        with transaction.atomic():
            return IdempotencyKey.objects.create(user_id=user_id, key=key, digest=digest)
    except IntegrityError:
        return None


def _keep(row: IdempotencyKey, response: Response, secret: bool) -> Response:
    row.status = response.status_code
    row.location = response.get("Location", "")
    row.secret = secret
    if not secret:
        row.body = JSONRenderer().render(response.data).decode() if response.data is not None else ""
    row.save(update_fields=["status", "location", "secret", "body"])
    return response


def _digest(request: Request, actor: Actor) -> str:
    scope = json.dumps(actor.scope.as_dict()) + "\n" if actor.scope else ""
    head = f"{request.method}\n{request.get_full_path()}\n{scope}".encode()
    return hashlib.sha256(head + request._request.body).hexdigest()


def _repeat(row: IdempotencyKey, digest: str) -> Response:
    if row.digest != digest:
        raise ReusedKey(
            N_("This Idempotency-Key was sent with another call before."), fix=N_("Use a new key for each call.")
        )
    if row.secret:
        raise Conflict(
            N_("This was done already; its secret answer is shown only once."),
            rule="secret.once",
            fix=N_("Make a new one, with a new Idempotency-Key."),
        )
    headers = {"Idempotency-Replayed": "true"}
    if row.location:
        headers["Location"] = row.location
    return Response(json.loads(row.body) if row.body else None, status=row.status, headers=headers)
