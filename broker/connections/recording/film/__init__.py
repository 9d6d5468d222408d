"""A recording as a video: what the machine sent is painted again, and ffmpeg makes a film of the pictures.

All of it happens in a process of its own (`__main__.py`), at a low priority and within limits, so that neither the web
server nor a worker works at it or takes harm from it. Nothing in the clear touches a disk: the pictures go to ffmpeg
through a pipe, and from there to whoever asked. No Django here.
"""


class Unreadable(ValueError):
    """What was recorded is no stream of pictures as the console's page asks for it."""
