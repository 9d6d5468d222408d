"""Which host a machine goes to. A rule is one file in `filters/` or `weights/`, found by itself.

`choose` is pure; `gather.py` reads the rows it works on.
"""

from .choose import Decision, Verdict, choose, judge
from .facts import HostFacts, Request

__all__ = ["Decision", "HostFacts", "Request", "Verdict", "choose", "judge"]
