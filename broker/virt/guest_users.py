"""The users that a guest makes at its first start: what may be said of them, and how cloud-init is told.

Formats: cloud-init's module users_groups, and useradd(8) and shadow(5), in whose files it ends.
"""

import re
import subprocess
from collections.abc import Mapping
from typing import Any

from broker.core.errors import Invalid, Unavailable
from broker.core.text import gettext_noop as N_

FIELDS = ("name", "full_name", "groups", "ssh_keys", "password", "sudo")
MOST_USERS, _MOST_LINES = 32, 64
LONGEST_FULL_NAME = 100
NAME = re.compile(r"[a-z_][a-z0-9_-]{0,31}")
KEY = re.compile(r"(ssh|ecdsa|sk-ssh|sk-ecdsa)[a-z0-9@.-]* [A-Za-z0-9+/=]{16,8000}( [^\r\n\x00]{0,200})?")
_BETWEEN = re.compile(r"[\s,]+")


def checked(given: Any, *, first: str) -> list[dict[str, Any]]:
    """The users besides `first` (a name, or empty), each by FIELDS with the password as `password_hash`.

    Groups that the guest lacks are made there. Raises Invalid of the field `users`, naming the user.
    """
    if not isinstance(given, list) or len(given) > MOST_USERS or not all(isinstance(one, Mapping) for one in given):
        raise _wrong(N_("This is no list of users."), N_("Give at most %(most)s."), most=MOST_USERS)
    users, names = [], {first}
    for one in given:
        user = _user(one)
        if user["name"] in names:
            raise _wrong(
                N_("Two users are called %(user)s."), N_("Give each a name of its own."), user=user["name"]
            )  # fmt: skip
        names.add(user["name"])
        users.append(user)
    return users


def entry(user: Mapping[str, Any]) -> dict[str, Any]:
    """One of `checked`, as cloud-config has it. Without a password and keys nobody signs in as that one."""
    told: dict[str, Any] = {"name": user["name"], "shell": "/bin/bash"}
    if user.get("full_name"):
        told["gecos"] = user["full_name"]
    if user.get("groups"):
        told["groups"] = user["groups"]
    if user.get("sudo"):
        told["sudo"] = "ALL=(ALL) NOPASSWD:ALL"
    if user.get("ssh_keys"):
        told["ssh_authorized_keys"] = user["ssh_keys"]
    if user.get("password_hash"):
        # Not `passwd`, which a user who is there already would not get.
        told |= {"hashed_passwd": user["password_hash"], "lock_passwd": False}
    return told


def hashed(password: Any, *, field: str = "password") -> str:
    """As /etc/shadow has it. The password goes to openssl by a pipe, where no list of processes shows it.

    Raises Invalid of `field`, and Unavailable where there is no openssl.
    """
    if not isinstance(password, str) or not 8 <= len(password) <= 256 or not password.isprintable():
        raise Invalid(
            N_("This password cannot be used."), field=field, fix=N_("Use 8 to 256 characters of one line.")
        )  # fmt: skip
    try:
        done = subprocess.run(
            ["openssl", "passwd", "-6", "-stdin"], input=password.encode(), capture_output=True, timeout=20, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise Unavailable(
            N_("The password could not be hashed."), rule="server.tool", fix=N_("Install openssl.")
        ) from error
    return done.stdout.decode().strip()


def _user(given: Mapping[str, Any]) -> dict[str, Any]:
    if not set(given) <= set(FIELDS):
        raise _wrong(N_("This is not offered."), N_("Use: %(known)s."), known=", ".join(FIELDS))
    name = given.get("name")
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise _wrong(
            N_("“%(one)s” cannot be the name of a user."),
            N_("Use small letters, digits, “-” and “_”, at most 32, and begin with a letter or “_”."),
            one=str(name or "")[:60],
        )  # fmt: skip
    full_name = given.get("full_name") or ""
    if (
        not isinstance(full_name, str) or len(full_name) > LONGEST_FULL_NAME or not full_name.isprintable()
        or set(full_name) & set(":,")
    ):  # fmt: skip
        raise _wrong(
            N_("The full name of %(user)s cannot be used."),
            N_("Use at most %(most)s characters of one line, without “:” and “,”."), user=name, most=LONGEST_FULL_NAME,
        )  # fmt: skip
    sudo = given.get("sudo", False)
    if not isinstance(sudo, bool):
        raise _wrong(N_("May %(user)s use sudo?"), N_("Say true or false."), user=name)
    user: dict[str, Any] = {
        "name": name, "full_name": full_name, "sudo": sudo,
        "groups": _lines(given, "groups", NAME, name), "ssh_keys": _lines(given, "ssh_keys", KEY, name),
    }  # fmt: skip
    if password := given.get("password"):
        user["password_hash"] = hashed(password, field="users")
    return user


def _lines(given: Mapping[str, Any], field: str, pattern: re.Pattern[str], user: str) -> list[str]:
    """A list, or text: keys one a line, groups also with commas or spaces between."""
    value = given.get(field) or []
    if isinstance(value, str):
        value = value.splitlines() if field == "ssh_keys" else _BETWEEN.split(value)
    if not isinstance(value, list) or len(value) > _MOST_LINES or not all(isinstance(one, str) for one in value):
        raise _wrong(N_("This is no list."), N_("Give at most %(most)s, one a line."), most=_MOST_LINES)
    found = [text for one in value if (text := one.strip())]
    for one in found:
        if not pattern.fullmatch(one):
            raise _wrong(
                N_("“%(one)s” cannot be a key of %(user)s.") if field == "ssh_keys"
                else N_("“%(one)s” cannot be a group of %(user)s."),
                N_("Correct it."), one=one[:60], user=user,
            )  # fmt: skip
    return found


def _wrong(message: str, fix: str, **params: Any) -> Invalid:
    return Invalid(message, field="users", fix=fix, **params)
