"""A table of settings (broker.core.tables) as the fields of a call's body."""

from collections.abc import Iterable

from rest_framework import serializers

from broker.core.tables import Setting

from .fields import Input, NameField, Switch, TextField, WholeNumber


def rules_input(name: str, table: Iterable[Setting]) -> type[Input]:
    """A body with one optional field for each setting."""
    return type(name, (Input,), {one.name: _field(one) for one in table})


def _field(one: Setting) -> serializers.Field:
    help_text = f"{one.title}. {one.help}".removesuffix(" ")
    if isinstance(one.default, bool):
        return Switch(required=False, help_text=help_text)
    if isinstance(one.default, int):
        return WholeNumber(required=False, min_value=one.least, max_value=one.most, help_text=help_text)
    if one.choices:
        return serializers.ChoiceField(choices=[value for value, _ in one.choices], required=False, help_text=help_text)
    if one.longest:
        return TextField(required=False, allow_blank=True, max_length=one.longest, help_text=help_text)
    return NameField(required=False, allow_blank=True, help_text=help_text)
