"""Input fields that take nothing invisible and nothing endless, and serializers that take nothing unknown."""

import unicodedata
from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

_UNSEEN = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})
_LINE_BREAKS = frozenset("\n\r\t")
NAME_PATTERN = r"^[A-Za-z0-9_][A-Za-z0-9._-]*$"


class TextField(serializers.CharField):
    """One line of text that somebody reads."""

    default_error_messages = {"unseen": _("This has characters that cannot be seen.")}
    allowed = frozenset[str]()

    def __init__(self, *, max_length: int = 128, **kwargs: Any):
        super().__init__(max_length=max_length, **kwargs)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        text: str = unicodedata.normalize("NFC", super().to_internal_value(data))
        if any(unicodedata.category(c) in _UNSEEN and c not in self.allowed for c in text):
            self.fail("unseen")
        return text


class LongTextField(TextField):
    """Several lines of text."""

    allowed = _LINE_BREAKS

    def __init__(self, *, max_length: int = 2000, **kwargs: Any):
        super().__init__(max_length=max_length, **kwargs)


class NameField(serializers.RegexField):
    """A name that becomes part of file names and addresses."""

    default_error_messages = {"invalid": _("Use letters a-z, digits and . _ -, beginning with a letter, a digit or _.")}

    def __init__(self, *, max_length: int = 64, **kwargs: Any):
        super().__init__(NAME_PATTERN, max_length=max_length, trim_whitespace=False, **kwargs)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str) or data.endswith("\n"):  # "$" also matches before a last line break
            self.fail("invalid")
        return str(super().to_internal_value(data))


class WholeNumber(serializers.IntegerField):
    """An integer that is one: neither "12" nor true."""

    def to_internal_value(self, data: Any) -> int:
        if isinstance(data, bool) or not isinstance(data, int):
            self.fail("invalid")
        return int(super().to_internal_value(data))


class Switch(serializers.BooleanField):
    """true or false, not "yes" nor 1."""

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return data


class Id(serializers.UUIDField):
    """An id in its usual notation; Python's UUID() would take others too."""

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, str) or len(data) != 36:
            self.fail("invalid", value=data)
        return super().to_internal_value(data)


class Labels(serializers.ListField):
    """Words by which affinity groups find machines and hosts."""

    def __init__(self, **kwargs: Any):
        super().__init__(child=NameField(), max_length=32, **kwargs)


class Input(serializers.Serializer):
    """The body of a call. An unknown field is an error, not ignored: it was meant to do something."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping):
            known = {name for name, field in self.fields.items() if not field.read_only}
            if unknown := sorted(str(name) for name in data if name not in known):
                raise serializers.ValidationError(
                    {name[:64]: [_("There is no such field here.")] for name in unknown[:10]}
                )
        return super().to_internal_value(data)


class Empty(Input):
    """The body of a call that takes nothing but its address."""
