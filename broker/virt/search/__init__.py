"""The search language for machines: `status=up and memory>4g sort by cpu`.

`language` reads the text, `fields` says which words there are and what each compares, `compile` makes a queryset
condition of both, `complete` tells what may be typed next.
"""

from .compile import Found, search
from .complete import Completion, complete

__all__ = ["Completion", "Found", "complete", "search"]
