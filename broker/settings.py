"""The one settings file. Every value comes from the environment (prefix BERTH_) or has a default that works.

With no variable set, everything runs on one machine over SQLite. `docs/settings.md` lists the variables.
"""

import os
import secrets
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from broker.environment import Environment

BASE_DIR = Path(__file__).resolve().parent.parent

env = Environment()
DATA_DIR = env.data_dir


def _secret_key() -> str:
    if given := env.secret_key.get_secret_value():
        return given
    path = DATA_DIR / "secret.key"
    if not path.exists():
        DATA_DIR.mkdir(parents=True, exist_ok=True)
        scratch = path.with_name(f"secret.{os.getpid()}")
        scratch.touch(mode=0o600)
        scratch.write_text(secrets.token_urlsafe(48))
        try:
            os.link(scratch, path)  # fails when another process was first: then its key counts
        except FileExistsError:
            pass
        scratch.unlink()
    return path.read_text()


def _database() -> dict[str, Any]:
    url = env.database_url.get_secret_value()
    if not url:
        # IMMEDIATE: a read-then-write transaction takes the write lock at its start and cannot be refused half-way.
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": DATA_DIR / "berth.sqlite3",
            "OPTIONS": {
                "transaction_mode": "IMMEDIATE",
                "timeout": 20,
                "init_command": "PRAGMA journal_mode=WAL;PRAGMA synchronous=NORMAL;PRAGMA foreign_keys=ON;"
                "PRAGMA cache_size=-20000;PRAGMA mmap_size=134217728;",
            },
            "TEST": {"NAME": str(DATA_DIR / f"test-{os.getpid()}.sqlite3")},
        }
    parts = urlsplit(url)
    query = dict(pair.split("=", 1) for pair in parts.query.split("&") if "=" in pair)
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.path.lstrip("/"),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": unquote(query.get("host", parts.hostname or "")),
        "PORT": str(parts.port or ""),
        "OPTIONS": {
            "pool": {"min_size": 1, "max_size": 20, "timeout": 10},
            # Only what broker.sql keeps is prepared, at once. A pooler that gives each transaction another session
            # needs ?prepare=off.
            "prepare_threshold": None if query.get("prepare") == "off" else 2**31,
        },
    }


SECRET_KEY = _secret_key()
DEBUG = env.debug
ORIGINS = env.origins or [f"http://{env.listen}", f"http://localhost:{env.listen.rpartition(':')[2]}"]
ALLOWED_HOSTS = [*{urlsplit(origin).hostname or "" for origin in ORIGINS}, *env.allowed_hosts]
CSRF_TRUSTED_ORIGINS = ORIGINS
SECURE = all(origin.startswith("https:") for origin in ORIGINS)
# A process that neither begins nor runs jobs, like the gateway, does without what it takes to run them.
LOAD_PLANS = True

INSTALLED_APPS = [
    "unfold",
    "unfold.contrib.filters",
    "django.contrib.admin.apps.SimpleAdminConfig",  # the site is portal.admin; only the web process loads it
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "channels",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "knox",
    "django_htmx",
    "broker.events",
    "broker.jobs",
    "broker.access",
    "broker.directories",
    "broker.virt",
    "broker.notifications",
    "broker.backups",
    "broker.connections",
    "pools",
    "portal",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "portal.middleware.CorrelationMiddleware",
    "portal.content_policy.ContentPolicyMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "portal.languages.LanguageMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "portal.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "portal.middleware.ActorMiddleware",
    "portal.second_factor.SecondFactorMiddleware",
    "portal.middleware.BerthErrorMiddleware",
]
ROOT_URLCONF = "portal.urls"
ASGI_APPLICATION = "portal.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "portal.context.navigation",
            ]
        },
    }
]

DATABASES = {"default": _database()}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
EMBEDDED = not env.broker_url.get_secret_value()
CELERY_BROKER_URL = env.broker_url.get_secret_value() or "inside://"  # broker.jobs.in_process
JOB_LEASE, STARTS_ASKED = env.job_lease, env.starts_asked
EMAIL_HOST, EMAIL_PORT, DEFAULT_FROM_EMAIL = env.mail_host, env.mail_port, env.mail_from
EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = env.mail_user, env.mail_password.get_secret_value()
EMAIL_USE_TLS, EMAIL_USE_SSL = env.mail_tls == "starttls", env.mail_tls == "tls"
PHYSICAL_NETWORKS = env.physical_networks
WEBHOOK_HOSTS, METRICS_TOKEN = env.webhook_hosts, env.metrics_token.get_secret_value()
STARTS_PER_CPU, STARTS_PER_HOST, STARTS_PER_CLUSTER = env.starts_per_cpu, env.starts_per_host, env.starts_per_cluster

AUTH_USER_MODEL = "directories.User"
AUTHENTICATION_BACKENDS = ["broker.directories.backend.DirectoryBackend"]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
LOGIN_URL = "portal:sign-in"
LOGIN_REDIRECT_URL = "/"
SIGN_IN_TRIES = env.sign_in_tries
SESSION_ENGINE = "portal.sessions"
SESSION_COOKIE_AGE = 12 * 3600
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE
SECURE_REFERRER_POLICY = "same-origin"
SECURE_HSTS_SECONDS = 31_536_000 if SECURE else 0
X_FRAME_OPTIONS = "DENY"
# Subdomains and preload lists are for the owner of the domain to decide; http is turned away by the proxy with the TLS.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W008", "security.W021"]

_SELF = "'self'"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": [_SELF],
        "style-src": [_SELF],
        "img-src": [_SELF, "data:", "blob:"],
        "font-src": [_SELF],
        "connect-src": [_SELF, *(origin.replace("http", "ws", 1) for origin in ORIGINS)],
        "media-src": [_SELF],
        "manifest-src": [_SELF],
        "form-action": [_SELF],
        "frame-ancestors": ["'none'"],
        "base-uri": ["'none'"],
        "object-src": ["'none'"],
    }
}

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("de", "Deutsch")]
LANGUAGE_COOKIE_NAME = "berth_language"
LANGUAGE_COOKIE_AGE = 31_536_000
LANGUAGE_COOKIE_SAMESITE = "Lax"
LANGUAGE_COOKIE_HTTPONLY, LANGUAGE_COOKIE_SECURE = True, SECURE
LOCALE_PATHS = [BASE_DIR / "portal" / "locale"]
USE_TZ, TIME_ZONE = True, "UTC"
STATIC_URL = "static/"
STATIC_ROOT = DATA_DIR / "static"
STATICFILES_DIRS: list[Path] = []
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "portal.static_files.StaticFiles"
    },
}
MEDIA_ROOT = DATA_DIR / "media"

CHANNEL_LAYERS: dict[str, Any] = (
    {
        "default": {
            "BACKEND": "channels_redis.core.RedisChannelLayer",
            # Readers wait 5 s at a time for the next message; the client's own limit must be longer than that.
            "CONFIG": {"hosts": [{"address": env.redis_url.get_secret_value(), "socket_timeout": 20}]},
        }
    }
    if env.redis_url.get_secret_value()
    else {"default": {"BACKEND": "broker.events.layer.EmbeddedChannelLayer"}}
)

API_MADE_A_MINUTE = env.api_made_a_minute
SITE_NAME, SITE_LOGO, SIGN_IN_NOTICE = env.site_name, env.site_logo, env.sign_in_notice
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "knox.auth.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_FILTER_BACKENDS": ["django_filters.rest_framework.DjangoFilterBackend"],
    "DEFAULT_PAGINATION_CLASS": "portal.api.paging.Pages",
    "PAGE_SIZE": 50,
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "EXCEPTION_HANDLER": "portal.api.problems.handler",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Berth",
    "DESCRIPTION": "Desktops, machines, hosts and jobs. Errors are problem documents (RFC 9457): a cause and a fix.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "COMPONENT_SPLIT_REQUEST": True,
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "ENUM_NAME_OVERRIDES": {
        "JobState": "portal.api.enums.JOB",
        "ImageState": "portal.api.enums.IMAGE",
        "ImageKind": "broker.virt.models.Image.Kind",
        "VmState": "portal.api.enums.VM",
        "VersionState": "portal.api.enums.VERSION",
        "HostState": "portal.api.enums.HOST",
        "PoolState": "portal.api.enums.POOL",
        "DesktopState": "portal.api.enums.DESKTOP",
        "SessionState": "portal.api.enums.SESSION",
        "HelpState": "portal.api.enums.HELP",
        "AffinityRule": "broker.virt.models.AffinityGroup.Rule",
        "SessionAct": "pools.models.session_rules.DO",
        "HelpLevel": "broker.connections.models.Help.Level",
        "ShareLevel": "broker.connections.models.Share.Level",
        "StepState": "broker.jobs.models.StepState",
        "PoolKind": "pools.models.Pool.Kind",
        "NetworkKind": "broker.virt.models.Network.Kind",
        "BackupState": "portal.api.enums.BACKUP",
        "BackupKind": "broker.backups.models.Backup.Kind",
        "StorageKind": "broker.virt.models.StorageDomain.Kind",
        "CardModel": "broker.virt.models.Nic.Model",
    },
    "PREPROCESSING_HOOKS": ["portal.api.schema.only_ours"],
    "POSTPROCESSING_HOOKS": ["drf_spectacular.hooks.postprocess_schema_enums", "portal.api.schema.complete"],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
}
KNOX_TOKEN_MODEL = "portal.ApiToken"  # noqa: S105 - a model, no password
# Its own token table is replaced by that model; made all the same, it would refer to users and block a flush.
MIGRATION_MODULES: dict[str, str | None] = {"knox": None}
REST_KNOX = {"TOKEN_TTL": None, "AUTH_HEADER_PREFIX": "Bearer", "TOKEN_MODEL": KNOX_TOKEN_MODEL}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"()": "broker.core.logs.LineFormatter"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": env.log_level},
    "loggers": {
        **{name: {"level": "WARNING"} for name in ("httpx", "celery", "kombu", "uvicorn", "asyncio")},
        # Says of each in-memory connection that it has no host name.
        "kombu.connection": {"level": "ERROR"},
    },
}
UNFOLD = {
    "SITE_TITLE": "Berth",
    "SITE_HEADER": "Berth",
    "SITE_SUBHEADER": "Administration",
    "SITE_SYMBOL": "anchor",
    "SITE_URL": "/",
    "SHOW_BACK_BUTTON": True,
    "SHOW_LANGUAGES": True,
    "DASHBOARD_CALLBACK": "portal.admin.dashboard.context",
    "SIDEBAR": {"show_search": True, "show_all_applications": True, "navigation": "portal.admin.navigation.groups"},
    "COLORS": {
        "primary": {
            "50": "#eef2ff", "100": "#e0e7ff", "200": "#c7d2fe", "300": "#a5b4fc", "400": "#818cf8", "500": "#6366f1",
            "600": "#4f46e5", "700": "#4338ca", "800": "#3730a3", "900": "#312e81", "950": "#1e1b4b",
        }
    },
}  # fmt: skip
