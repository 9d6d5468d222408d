"""User: a person, known by the id their directory gives them, not by their name."""

import uuid
from typing import Any

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager
from django.db import models
from django.db.models import Q
from django.utils.crypto import salted_hmac

from broker.core import clock

from .directory import Directory


class UserManager(BaseUserManager["User"]):
    def get_by_natural_key(self, username: str | None) -> "User":
        return self.get(username__iexact=username)


class User(AbstractBaseUser):  # type: ignore[django-manager-missing]  # of the API tokens, whose base has no types
    """`external_id` is entryUUID or objectGUID for LDAP, issuer and subject for OpenID Connect and SAML,
    "" for local users.

    `disabled_in_directory` says that it was the directory which took `is_active` away, and may give it back; what an
    administrator disabled here stays disabled whatever the directory says. `second_factor_at` says since when a code
    is asked after the password, so that nobody's sign-in has to look for one; the secret is in SecondFactor.
    `factor_elsewhere`: at the last sign-in the provider asked for one, and its directory lets that count.
    """

    access_kind = "user"
    USERNAME_FIELD = "username"
    EMAIL_FIELD = "email"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    directory = models.ForeignKey(Directory, on_delete=models.PROTECT, related_name="users")
    external_id = models.CharField(max_length=255, blank=True)
    username = models.CharField(max_length=150, unique=True)
    display_name = models.CharField(max_length=255, blank=True)
    email = models.EmailField(blank=True)
    is_active = models.BooleanField(default=True)
    disabled_in_directory = models.BooleanField(default=False, editable=False)
    second_factor_at = models.DateTimeField(null=True, editable=False)
    factor_elsewhere = models.BooleanField(default=False, editable=False)
    created_at = models.DateTimeField(default=clock.now)
    preferences = models.JSONField(default=dict, blank=True)

    signed_in_by = ""
    """The provider's token of a sign-in that is under way, for signing out there again; in no column."""
    objects = UserManager()

    class Meta:
        ordering = ("username",)
        constraints = (
            models.UniqueConstraint(
                fields=("directory", "external_id"), condition=~Q(external_id=""), name="user_once_per_directory"
            ),
        )

    def __str__(self) -> str:
        return self.username

    def get_full_name(self) -> str:
        return self.display_name or self.username

    def get_short_name(self) -> str:
        return self.username

    def get_session_auth_hash(self) -> str:
        """Sign-ins end with a new password, and with a second factor that came or went since, here or at a provider."""
        digest = super().get_session_auth_hash()
        if self.factor_elsewhere:
            digest = salted_hmac("berth.factor-elsewhere", digest, algorithm="sha256").hexdigest()
        if self.second_factor_at is None:
            return digest
        return salted_hmac(
            "berth.second-factor", f"{digest} {self.second_factor_at.timestamp()}", algorithm="sha256"
        ).hexdigest()

    @property
    def initials(self) -> str:
        words = (self.display_name or self.username).split()
        return "".join(word[0] for word in words[:2]).upper()

    def _may(self, verb: str) -> bool:
        from broker.access.actor import Actor
        from broker.access.require import may

        actor = self.__dict__.setdefault("_actor", Actor.for_user(self))
        return self.is_active and may(actor, verb)

    @property
    def is_staff(self) -> bool:
        """May open the Django admin: administrators and auditors."""
        return self._may("system.view")

    def has_perm(self, perm: str, obj: Any = None) -> bool:
        """For the Django admin: its "app.view_model" is our "system.view", everything else "system.manage"."""
        return self._may("system.view" if perm.partition(".")[2].startswith("view_") else "system.manage")

    def has_perms(self, perm_list: Any, obj: Any = None) -> bool:
        return all(self.has_perm(perm, obj) for perm in perm_list)

    def has_module_perms(self, app_label: str) -> bool:
        return self.is_staff
