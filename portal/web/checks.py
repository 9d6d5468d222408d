"""Several choices as boxes in a row, in the theme's style."""

from typing import Any

from django import forms


class Checks(forms.CheckboxSelectMultiple):
    """The theme's class belongs to the boxes, not to what is around them."""

    def __init__(self, **kwargs: Any):
        super().__init__({"class": "form-check-input"}, **kwargs)

    def get_context(self, name: str, value: Any, attrs: Any) -> dict[str, Any]:
        context: dict[str, Any] = super().get_context(name, value, attrs)
        context["widget"]["attrs"]["class"] = "d-flex flex-wrap gap-3"
        return context
