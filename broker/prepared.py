"""Statements that PostgreSQL keeps, sent on the shortest way: the cursors of psycopg and Django take thrice as long.

Only for broker.sql, whose statements are few and known. What differs is how they are sent, never what is sent: values
are made ready and read by psycopg's own adapters, and errors come out as Django's.
"""

import re
from collections.abc import Sequence
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

MOST_KEPT = 200
"""On each connection; beyond, the one made first is let go."""
_PLACE = re.compile(r"%[s%]")


def may_keep(database: BaseDatabaseWrapper) -> bool:
    """Whether statements may be sent this way: not through a pooler, nor while somebody listens to all of them."""
    if database.vendor != "postgresql" or database.execute_wrappers or database.queries_logged:
        return False
    if database.connection is None:
        database.ensure_connection()
    return database.connection.prepare_threshold is not None


def send(database: BaseDatabaseWrapper, sql: str, values: Sequence[Any]) -> tuple[list[Any], int]:
    """(the rows that came back, how many were changed or found), as a cursor of Django's would have it."""
    if database.needs_rollback:
        database.validate_no_broken_transaction()
    line = database.connection
    keeper = line.__dict__.get("_berth_keeper")
    if keeper is None:
        keeper = line._berth_keeper = Keeper(line)
    try:
        with line.lock:
            answer: tuple[list[Any], int] = keeper.send(sql, values)
    except keeper.error:
        with database.wrap_database_errors:
            raise
    return answer


class Keeper:
    """The statements of one connection to PostgreSQL."""

    def __init__(self, line: Any):
        from psycopg import Error, errors, pq
        from psycopg.adapt import PyFormat, Transformer

        self._line, self._server, self._transformer = line, line.pgconn, Transformer.from_context(line)
        self._names: dict[tuple[str, tuple[int, ...]], bytes] = {}
        self._made = 0
        self._any, self._text, self._idle = PyFormat.AUTO, pq.Format.TEXT, int(pq.TransactionStatus.IDLE)
        self._good = (int(pq.ExecStatus.TUPLES_OK), int(pq.ExecStatus.COMMAND_OK))
        self._stale = (errors.FeatureNotSupported, errors.InvalidSqlStatementName)
        self.error = Error

    def send(self, sql: str, values: Sequence[Any]) -> tuple[list[Any], int]:
        transformer = self._transformer
        if not self._line.autocommit and self._server.transaction_status == self._idle:
            self._checked(self._server.exec_(b"BEGIN"))
        given = transformer.dump_sequence(values, [self._any] * len(values))
        key = (sql, transformer.types or ())
        try:
            answer = self._executed(key, given)
        except self._stale:
            # A migration has changed what it returns, or somebody let all of them go: it is made anew.
            self._names.pop(key, None)
            if self._server.transaction_status != self._idle:
                raise  # with it the transaction is lost
            answer = self._executed(key, given)
        if not answer.ntuples:
            return [], answer.command_tuples or 0
        transformer.set_pgresult(answer)
        rows = transformer.load_rows(0, answer.ntuples, tuple)
        transformer.set_pgresult(None)
        return rows, len(rows)

    def _executed(self, key: tuple[str, tuple[int, ...]], given: Any) -> Any:
        name = self._names.get(key) or self._prepared(key)
        answer = self._server.exec_prepared(name, given, self._transformer.formats, self._text)
        return answer if answer.status in self._good else self._checked(answer)

    def _prepared(self, key: tuple[str, tuple[int, ...]]) -> bytes:
        if len(self._names) >= MOST_KEPT:
            oldest = next(iter(self._names))
            self._checked(self._server.exec_(b"DEALLOCATE " + self._names.pop(oldest)))
        name = b"berth_%d" % self._made
        self._made += 1
        self._checked(self._server.prepare(name, _numbered(key[0]).encode(), key[1]))
        self._names[key] = name
        return name

    def _checked(self, answer: Any) -> Any:
        if answer.status in self._good:
            return answer
        from psycopg import OperationalError
        from psycopg.errors import error_from_result

        encoding = self._line.info.encoding
        if self._line.closed:
            raise OperationalError(answer.get_error_message(encoding))
        raise error_from_result(answer, encoding)


def _numbered(sql: str) -> str:
    """Django's %s as PostgreSQL's $1, $2, …"""
    parts, count = [], 0
    last = 0
    for found in _PLACE.finditer(sql):
        parts.append(sql[last : found.start()])
        if found[0] == "%s":
            count += 1
            parts.append(f"${count}")
        else:
            parts.append("%")
        last = found.end()
    return "".join((*parts, sql[last:]))
