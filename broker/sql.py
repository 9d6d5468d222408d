"""Statements that are built once: a queryset's SQL, kept for the hot paths and only bound to values each time.

Django builds a statement anew at every call, in ten times the time that sending it takes. Here the queryset stays the
definition, and whoever changes a model changes the statement with it:

    _OF_POOL = Statement(lambda: Desktop.objects.filter(pool=Given("pool")).values_list("pk", "number"))
    rows = _OF_POOL.rows(pool=pool.pk)

    _BREAK = Statement(lambda: DESKTOP.attempt(written(Desktop).filter(pk=Given("pk")), "break", failures=0))
    broken = _BREAK.run(pk=desktop.pk)
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import StrEnum
from functools import cache, cached_property, lru_cache
from typing import Any, TypeVar

from django.db import DEFAULT_DB_ALIAS, connection, connections, models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.constants import OnConflict
from django.db.models.expressions import Expression
from django.db.models.query import get_related_populators
from django.db.models.sql import DeleteQuery, InsertQuery, Query, UpdateQuery

from broker import prepared

M = TypeVar("M", bound=models.Model)


class Given(Expression):
    """A value that is given when the statement is run, called `name` there; a UUID unless a field says otherwise."""

    def __init__(self, name: str, field: "models.Field[Any, Any] | None" = None):
        super().__init__(output_field=field or models.UUIDField())
        self.name = name

    def as_sql(self, compiler: Any, connection: Any) -> Any:
        return "%s", [self]

    def __str__(self) -> str:
        # iexact makes a text of what it compares with, and would do so before there is a value.
        raise TypeError(f"The value {self.name} is given when the statement is run: this lookup cannot wait for it")


def time(name: str) -> Given:
    """A time that is given."""
    return Given(name, models.DateTimeField())


class _Written(models.QuerySet):  # type: ignore[type-arg]
    """A queryset whose update() gives the query instead of doing it."""

    def update(self, **values: Any) -> Any:
        query: Any = self.query.chain(UpdateQuery)
        query.add_update_values(values)
        query.annotations = {}
        query.clear_ordering(force=True)
        return query


def several(name: str, count: int, field: "models.Field[Any, Any] | None" = None) -> tuple[Given, ...]:
    """So many values, for "in": `each` names them when the statement is run."""
    return tuple(Given(f"{name}{number}", field) for number in range(count))


def each(name: str, values: Iterable[Any]) -> dict[str, Any]:
    return {f"{name}{number}": value for number, value in enumerate(values)}


def given(model: type[models.Model], *columns: str) -> dict[str, Given]:
    """For update(): these columns, each with a value given under the column's name."""
    return {name: Given(name, _plain(model._meta.get_field(name))) for name in columns}


def key_of(model: type[models.Model]) -> "models.Field[Any, Any]":
    """What a key of the model's rows is, for a Given."""
    return _plain(model._meta.pk)


def _plain(field: Any) -> "models.Field[Any, Any]":
    """What a value of the column is: for a reference, the key it refers to."""
    return _plain(field.target_field) if field.remote_field else field


def written(model: type[models.Model]) -> Any:
    """All rows of `model`, for an UPDATE that becomes a Statement; state machines take it as their rows."""
    return _Written(model=model)


def deleted(rows: "models.QuerySet[Any]") -> Query:
    """A DELETE of these rows of one table, for a Statement: for models that nothing refers to; no signals are sent."""
    query: Any = rows.order_by().query.chain(DeleteQuery)
    return query  # type: ignore[no-any-return]


class Statement:
    """One statement. `build` returns a queryset, or what update() of `written` rows or `deleted` returns.

    What differs from run to run must be a Given; all else is taken as it is at the first run.
    """

    def __init__(self, build: Callable[[], Any]):
        self._build = build
        self._ready: _Ready | None = None

    def rows(self, **values: Any) -> list[tuple[Any, ...]]:
        """Read, as values_list() would. Row locks need a transaction, as ever."""
        return self._made().rows(values)

    def plain(self, **values: Any) -> list[Any]:
        """Read rows as the database's driver gives them: to be compared with such rows, and for nothing else."""
        return self._made().plain(values)

    def objects(self, **values: Any) -> list[Any]:
        """Read rows of the model, with what select_related() and annotate() bring; of one without values_list()."""
        return list(self._made().objects(values))

    def run(self, **values: Any) -> int:
        """Write; returns how many rows were changed."""
        return self._made().run(values)

    def _made(self) -> "_Ready":
        if self._ready is None:  # two threads may both make it: the same
            made = self._build()
            self._ready = _Ready(made if isinstance(made, Query) else made.query)
        return self._ready


def _database() -> BaseDatabaseWrapper:
    """The thread's connection itself: django.db's `connection` looks it up again for each of its attributes."""
    return connections[DEFAULT_DB_ALIAS]


def _send(database: BaseDatabaseWrapper, sql: str, values: Sequence[Any], *, back: bool) -> tuple[list[Any], int]:
    """(the rows that come back, if any do; how many were changed) of a statement that is kept."""
    if prepared.may_keep(database):
        return prepared.send(database, sql, values)
    with database.cursor() as cursor:
        cursor.execute(sql, values)
        return (cursor.fetchall() if back else []), int(cursor.rowcount)


class _Ready:
    """The SQL, and where its values go."""

    def __init__(self, query: Query):
        self.compiler = query.get_compiler(DEFAULT_DB_ALIAS)
        self.sql, params = self.compiler.as_sql()
        # Drivers are quicker with plain strings than with members of an enumeration.
        self.params = tuple(str(one) if isinstance(one, StrEnum) else one for one in params)
        selected = [column[0] for column in getattr(self.compiler, "select", None) or ()]
        self.converters = self.compiler.get_converters(selected)

    def plain(self, values: dict[str, Any]) -> list[Any]:
        database = _database()
        return _send(database, self.sql, self._bound(values, database), back=True)[0]

    def rows(self, values: dict[str, Any]) -> list[tuple[Any, ...]]:
        found = self.plain(values)
        if not self.converters:
            return found
        return [tuple(row) for row in self.compiler.apply_converters(found, self.converters)]

    def objects(self, values: dict[str, Any]) -> Iterator[models.Model]:
        """As django.db.models.query.ModelIterable makes them."""
        model, columns, first, last, populators, annotated = self._made_of
        for row in self.rows(values):
            made = model.from_db(DEFAULT_DB_ALIAS, columns, row[first:last])
            for populator in populators:
                populator.populate(row, made)
            for name, position in annotated:
                setattr(made, name, row[position])
            yield made

    @cached_property
    def _made_of(self) -> tuple[Any, list[str], int, int, list[Any], list[tuple[str, int]]]:
        select, info = self.compiler.select, self.compiler.klass_info
        model, first, last = info["model"], info["select_fields"][0], info["select_fields"][-1] + 1
        columns = [column[0].target.attname for column in select[first:last]]
        populators = get_related_populators(info, select, DEFAULT_DB_ALIAS)  # type: ignore[call-arg]  # of a later Django
        return model, columns, first, last, populators, list(self.compiler.annotation_col_map.items())

    def run(self, values: dict[str, Any]) -> int:
        database = _database()
        return _send(database, self.sql, self._bound(values, database), back=False)[1]

    def _bound(self, values: dict[str, Any], database: BaseDatabaseWrapper) -> list[Any]:
        return [
            one.output_field.get_db_prep_save(values[one.name], database) if isinstance(one, Given) else one
            for one in self.params
        ]


def get(model: type[M], pk: Any) -> M:
    """`model.objects.get(pk=pk)`; raises model.DoesNotExist, and ValidationError for what cannot be a key."""
    columns, statement = _by_key(model)
    rows = statement.rows(pk=pk)
    if not rows:
        raise model.DoesNotExist(f"There is no {model._meta.verbose_name} {pk}")  # type: ignore[attr-defined]
    return model.from_db(DEFAULT_DB_ALIAS, columns, rows[0])


@cache
def _by_key(model: type[models.Model]) -> tuple[list[str], Statement]:
    columns = [field.attname for field in model._meta.concrete_fields]
    rows = model._base_manager.filter(pk=Given("pk", key_of(model))).order_by().values_list(*columns)
    return columns, Statement(lambda: rows)


def part_of(model: type[M], **values: Any) -> M:
    """A row of which these columns were read; the others are read when they are asked for."""
    names, columns = _columns(model, tuple(values))
    keys = [getattr(values[name], "pk", values[name]) for name in names]
    row = model.from_db(DEFAULT_DB_ALIAS, columns, keys)
    for name, value in values.items():
        if isinstance(value, models.Model):
            setattr(row, name, value)
    return row


@cache
def _columns(model: type[models.Model], names: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """The names in the order of the model's columns, and those columns."""
    fields: dict[Any, str] = {model._meta.get_field(name): name for name in names}
    in_order: list[Any] = [field for field in model._meta.concrete_fields if field in fields]
    return [fields[field] for field in in_order], [field.attname for field in in_order]


def add(row: M) -> M:
    """`row.save(force_insert=True)` of a model whose rows nobody waits for: no signals are sent."""
    fields, sql, returning = _insertion(type(row), None)
    database = _database()
    values = [field.get_db_prep_save(field.pre_save(row, True), database) for field in fields]
    found, _ = _send(database, sql, values, back=returning is not None)
    if returning is not None:
        row.pk = found[0][0]
    row._state.adding, row._state.db = False, DEFAULT_DB_ALIAS
    return row


KEPT_ROWS = 3
"""Up to so many rows at once their INSERT is kept: one statement for each number of rows."""


def add_unless_there(*rows: models.Model) -> None:
    """Insert these, all of one model; nothing happens to those of which a constraint says that they are there."""
    _insert(rows, OnConflict.IGNORE)


def add_all(rows: Sequence[models.Model]) -> None:
    """`add` for several of one model, whose keys are known before."""
    _insert(rows, None)
    for row in rows:
        row._state.adding, row._state.db = False, DEFAULT_DB_ALIAS


def _insert(rows: Sequence[models.Model], conflict: OnConflict | None) -> None:
    fields, sql = _insertion_of_many(type(rows[0]), conflict, len(rows))
    database = _database()
    values = [field.get_db_prep_save(field.pre_save(row, True), database) for row in rows for field in fields]
    if len(rows) <= KEPT_ROWS:
        _send(database, sql, values, back=False)
        return
    with database.cursor() as cursor:
        cursor.execute(sql, values)


@lru_cache(maxsize=256)
def _insertion_of_many(
    model: type[models.Model], conflict: OnConflict | None, count: int
) -> tuple[list["models.Field[Any, Any]"], str]:
    fields, sql, returning = _insertion(model, conflict)
    if returning is not None:
        raise TypeError(f"The database makes the keys of {model.__name__}: add them one by one")
    row_of_values = f"({', '.join(['%s'] * len(fields))})"
    return fields, sql.replace(row_of_values, ", ".join([row_of_values] * count))


def put(rows: Sequence[models.Model], key: tuple[str, ...]) -> None:
    """Insert these, all of one model; where one with such a `key` (unique columns) is there, write the rest over it."""
    fields, sql = _putting(type(rows[0]), key)
    row_of_values = f"({', '.join(['%s'] * len(fields))})"
    sql = sql.replace(row_of_values, ", ".join([row_of_values] * len(rows)))
    converts = [(field.attname, field.get_db_prep_save) for field in fields]
    with connection.cursor() as cursor:
        cursor.execute(sql, [save(getattr(row, name), connection) for row in rows for name, save in converts])


@cache
def _putting(model: type[models.Model], key: tuple[str, ...]) -> tuple[list[Any], str]:
    meta = model._meta
    fields: list[Any] = [field for field in meta.concrete_fields if field is not meta.auto_field]
    rest = [field for field in fields if field.name not in key]
    query = InsertQuery(
        model, on_conflict=OnConflict.UPDATE, update_fields=rest, unique_fields=[meta.get_field(name) for name in key]
    )
    query.insert_values(fields, [model()])
    compiler: Any = query.get_compiler(DEFAULT_DB_ALIAS)
    ((sql, _),) = compiler.as_sql()
    return fields, sql


@cache
def _insertion(model: type[models.Model], conflict: OnConflict | None) -> tuple[list[Any], str, Any]:
    """The columns that are given, the SQL, and the key that the database makes, if it does."""
    made = model._meta.auto_field
    fields = [field for field in model._meta.concrete_fields if field is not made]
    query = InsertQuery(model, on_conflict=conflict)
    query.insert_values(fields, [model()])
    compiler: Any = query.get_compiler(DEFAULT_DB_ALIAS)
    made = None if conflict else made
    compiler.returning_fields = [made] if made else None
    ((sql, _),) = compiler.as_sql()
    # What the database says by itself stands in the SQL.
    return [field for field in fields if not field.has_db_default()], sql, made


def with_rows(row: M, **found: Sequence[models.Model]) -> M:
    """Let the row know what refers to it, by related name, as prefetch_related() would."""
    known: Any = row.__dict__.setdefault("_prefetched_objects_cache", {})
    for name, others in found.items():
        manager: Any = getattr(row, name)
        for other in others:
            setattr(other, manager.field.name, row)
        rows = manager.get_queryset()
        rows._result_cache, rows._prefetch_done = list(others), True
        known[name] = rows
    return row


ROWS_AT_ONCE = 200


def write_rows(rows: Sequence[models.Model], names: Sequence[str]) -> int:
    """Write these columns of rows that are there already, one statement for every 200; returns how many were changed.

    bulk_update() for hot paths: a join with the values, where Django has one CASE for each column and row. The rows
    are of one model. Whoever must not overwrite what others write meanwhile holds them locked.
    """
    parts = [rows[start : start + ROWS_AT_ONCE] for start in range(0, len(rows), ROWS_AT_ONCE)]
    return sum(_write_at_once(part, names) for part in parts)


def _write_at_once(rows: Sequence[models.Model], names: Sequence[str]) -> int:
    meta = rows[0]._meta
    fields: list[Any] = [meta.pk, *(meta.get_field(name) for name in names)]
    quote = connection.ops.quote_name
    table, (key, *columns) = quote(meta.db_table), [quote(field.column) for field in fields]
    # Both databases number the columns of VALUES so; PostgreSQL takes them for text where all are null.
    told = [f"v.column{number}" for number in range(1, len(fields) + 1)]
    if connection.features.requires_casted_case_in_updates:
        told = [f"CAST({one} AS {field.cast_db_type(connection)})" for one, field in zip(told, fields, strict=True)]
    wanted = ", ".join(f"{column} = {one}" for column, one in zip(columns, told[1:], strict=True))
    row_of_values = f"({', '.join(['%s'] * len(fields))})"
    values = ", ".join([row_of_values] * len(rows))
    sql = f"UPDATE {table} SET {wanted} FROM (VALUES {values}) AS v WHERE {table}.{key} = {told[0]}"  # noqa: S608
    params = [field.get_db_prep_save(getattr(row, field.attname), connection) for row in rows for field in fields]
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return int(cursor.rowcount)
