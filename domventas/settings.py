"""All settings, from the environment; a secret X may also come from the file named by X_FILE."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from domventas.core.db.address import parts_of

BASE_DIR = Path(__file__).resolve().parent.parent


def env(name: str, default: str = "") -> str:
    """A setting as text; `NAME_FILE` names a file that holds it."""
    if path := os.environ.get(f"{name}_FILE"):
        return Path(path).read_text(encoding="utf-8").strip()
    return os.environ.get(name, default)


def env_bool(name: str, *, default: bool = False) -> bool:
    """1, true, yes, on are true."""
    return env(name, "1" if default else "0").lower() in {"1", "true", "yes", "on"}


def env_list(name: str, default: str = "") -> list[str]:
    """Comma-separated values."""
    return [item.strip() for item in env(name, default).split(",") if item.strip()]


def env_number(name: str, default: float) -> float:
    """A number, such as a period in seconds."""
    return float(env(name) or default)


# ── mode ──────────────────────────────────────────────────────────────────────────────────────────
# The demo and the tests run on servers this checkout started itself: devservers.py names the folder of their
# sockets, and DATABASE_URL must point into it. Only then may secrets have a default.
OWN_SERVERS = not env("DATABASE_URL") or f"?host={env('DOMVENTAS_OWN_SERVERS', '-')}&" in env("DATABASE_URL")
DEBUG = env_bool("DEBUG")
SECRET_KEY, KEYRING = env("SECRET_KEY"), env_list("DOMVENTAS_KEYRING")
LOOPBACK_ONLY = not SECRET_KEY  # a key everybody knows: wsgi.py answers this machine alone
if OWN_SERVERS or DEBUG:
    SECRET_KEY = SECRET_KEY or "only-for-the-demo-on-this-machine"
    KEYRING = KEYRING or ["ZG9tdmVudGFzLWRlbW8ta2V5LW5vdC1mb3ItbGl2ZSE="]
if not SECRET_KEY or not KEYRING:
    raise ImproperlyConfigured("SECRET_KEY and DOMVENTAS_KEYRING must be set where DATABASE_URL is")
ALLOWED_HOSTS = env_list("ALLOWED_HOSTS", "localhost,127.0.0.1,[::1],testserver" if OWN_SERVERS else "")
CSRF_TRUSTED_ORIGINS = env_list("CSRF_TRUSTED_ORIGINS")
DEMO = env_bool("DOMVENTAS_DEMO")


# ── database: three roles of one database ─────────────────────────────────────────────────────────
def database(variable: str, role: str, **limits: str) -> dict[str, Any]:
    """Django's settings for one URL; PostgreSQL only, through our backend that knows the client."""
    parts = parts_of(env(variable, "postgresql:///not-configured"))
    flags = " ".join(f"-c {limit}={value}" for limit, value in limits.items())
    return {
        **parts,
        "ENGINE": "domventas.core.db",
        "CONN_MAX_AGE": int(env_number("CONN_MAX_AGE", 60)),
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {**parts["OPTIONS"], "application_name": f"domventas {role}", "options": flags},
    }


DATABASES = {
    "default": database(
        "DATABASE_URL",
        "app",
        statement_timeout=env("DB_STATEMENT_TIMEOUT", "300s"),  # the web sets 30s
        lock_timeout=env("DB_LOCK_TIMEOUT", "3s"),  # whoever waits longer tries again later
        idle_in_transaction_session_timeout=env("DB_IDLE_TIMEOUT", "60s"),
    ),
    "owner": database("DATABASE_OWNER_URL", "owner", lock_timeout="10s"),
    "ops": database("DATABASE_OPS_URL", "ops"),
}
WALLED_ALIASES = {"default", "owner"}  # owner passes every wall, but the audit trigger reads who acts
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# ── apps ──────────────────────────────────────────────────────────────────────────────────────────
INSTALLED_APPS = [
    "unfold", "unfold.contrib.filters", "unfold.contrib.forms", "unfold.contrib.import_export",
    "django.contrib.admin", "django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions",
    "django.contrib.messages", "django.contrib.staticfiles", "django.contrib.humanize",
    "django.contrib.postgres",
    "axes", "csp", "import_export", "django_celery_beat", "django_htmx", "template_partials", "django_filters",
    "rest_framework", "drf_spectacular", "drf_spectacular_sidecar",
    "domventas.core", "marketplaces", "catalog", "orders", "finance", "tickets", "reports", "domventas.ops",
]  # fmt: skip
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",  # outside all that answers by itself
    "csp.middleware.CSPMiddleware",
    "domventas.core.headers.Headers",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "domventas.core.signin.gate.Gate",
    "domventas.core.middleware.ActiveClient",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "axes.middleware.AxesMiddleware",
]
ROOT_URLCONF = "domventas.urls"
WSGI_APPLICATION = "domventas.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "builtins": ["domventas.core.templatetags.client_form"],
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    }
]

# ── people ────────────────────────────────────────────────────────────────────────────────────────
AUTH_USER_MODEL = "core.User"
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "domventas.core.auth.MembershipBackend"]
LOGIN_URL = "/admin/login/"
LOGIN_REDIRECT_URL = "/"
PASSWORDS = "django.contrib.auth.password_validation"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"{PASSWORDS}.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": f"{PASSWORDS}.CommonPasswordValidator"},
    {"NAME": f"{PASSWORDS}.UserAttributeSimilarityValidator", "OPTIONS": {"user_attributes": ("email", "name")}},
]
# By name and address together: who guesses is locked out, the true person from another address is not.
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_FAILURE_LIMIT, AXES_COOLOFF_TIME, AXES_RESET_ON_SUCCESS = 5, timedelta(minutes=15), True
AXES_USERNAME_CALLABLE = "domventas.core.signin.session.name_of"
AXES_CLIENT_IP_CALLABLE = "domventas.core.signin.session.address_of"
AXES_LOCKOUT_TEMPLATE, AXES_HTTP_RESPONSE_CODE = "signin/locked.html", 429
AXES_ENABLE_ADMIN, AXES_DISABLE_ACCESS_LOG, AXES_VERBOSE = False, True, False
if os.environ.get("PYTEST_VERSION"):  # hundreds of logins: the slow hasher proves nothing there
    PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

# ── marketplaces ──────────────────────────────────────────────────────────────────────────────────
DOMVENTAS_CONNECTORS = env_list("DOMVENTAS_CONNECTORS", "marketplaces.connectors")
SANDBOX_URL = env("SANDBOX_URL", "http://127.0.0.1:8790")
LIVE_PUSHES = env_bool("LIVE_PUSHES")  # only production writes to live marketplaces
REDIS_URL = env("REDIS_URL")
PUBLIC_URL = env("PUBLIC_URL")  # as marketplaces reach us, where they are told to send webhooks
# A queue of the platform's own, for the events of every client's accounts; clients may bring their own instead.
EVENT_QUEUE = {
    "url": env("EVENT_QUEUE_URL"), "key_id": env("EVENT_QUEUE_KEY_ID"), "secret": env("EVENT_QUEUE_SECRET"),
}  # fmt: skip

# ── jobs ──────────────────────────────────────────────────────────────────────────────────────────
# rows kept longer than their model says: "core.AuditEntry=4018,…" (days); shorter is not taken
KEPT_DAYS = dict(item.split("=") for item in env_list("KEPT_DAYS"))
JOB_MAX_STARTS = 3  # starts without progress or end before a run is quarantined
JOB_SWEEP_EVERY = env_number("JOB_SWEEP_EVERY", 5)
JOB_RESEND_AFTER = env_number("JOB_RESEND_AFTER", 60)
JOB_DEAD_AFTER = env_number("JOB_DEAD_AFTER", 2)
JOB_OVERDUE_GRACE = env_number("JOB_OVERDUE_GRACE", 30)
JOB_RELAY_EVERY = env_number("JOB_RELAY_EVERY", 0.25)
JOB_SHUTDOWN_AFTER = env_number("JOB_SHUTDOWN_AFTER", 30)  # a worker that is to end cancels what still works then
JOB_WAIT_FULL = env_number("JOB_WAIT_FULL", 60)  # between two tries while a disk is full
SOCKET, _, REDIS_DB = REDIS_URL.removeprefix("unix://").partition("?db=")
BROKER_URL = f"redis+socket://{SOCKET}?virtual_host={REDIS_DB or 0}" if SOCKET != REDIS_URL else REDIS_URL
CELERY_BROKER_URL = env("BROKER_URL") or BROKER_URL  # kombu spells a socket in its own way
CELERY_TASK_QUEUES: dict[str, dict[str, Any]] = {name: {} for name in ("realtime", "sync", "push", "reports", "bulk")}
CELERY_TASK_DEFAULT_QUEUE = "sync"
CELERY_TASK_CREATE_MISSING_QUEUES = False
CELERY_VISIBILITY_TIMEOUT = int(env_number("JOB_VISIBILITY", 3600))
CELERY_RESULT_BACKEND_TRANSPORT_OPTIONS = {"visibility_timeout": CELERY_VISIBILITY_TIMEOUT}
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": CELERY_VISIBILITY_TIMEOUT,
    "unacked_restore_interval": int(env_number("JOB_RESTORE_INTERVAL", 10)),
    "unacked_restore_throttle": 1,  # kombu's 10 multiplies the interval
    "unacked_mutex_expire": int(env_number("JOB_MUTEX_EXPIRE", 20)),  # kombu's 300 s outlive a killed holder
    "health_check_interval": int(env_number("JOB_HEALTH_CHECK", 10)),
    "socket_timeout": 5, "socket_connect_timeout": 2, "socket_keepalive": True, "retry_on_timeout": True,
}  # fmt: skip
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None  # Celery's 100 tries end in a worker that gave up
CELERY_BROKER_CHANNEL_ERROR_RETRY = True  # a broker that is full or read-only is away, too: else the worker ends
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_PUBLISH_RETRY = False  # the dispatch row is the retry
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_MAX_TASKS_PER_CHILD = 500
CELERY_WORKER_MAX_MEMORY_PER_CHILD = int(env_number("WORKER_MEMORY", 600_000))  # kB
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = False  # the lock and the fence decide
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT = 0  # the wait lies before it: JOB_SHUTDOWN_AFTER
CELERY_RESULT_EXPIRES = None  # else beat plants a row nobody declared
CELERY_BEAT_SCHEDULER = "domventas.core.jobs.beat:LeaderScheduler"
CELERY_BEAT_MAX_LOOP_INTERVAL = env_number("JOB_BEAT_LOOP", 5)
CELERY_DB_REUSE_MAX = 100  # unset, Celery closes the database connection around every task
CELERY_TIMEZONE = "UTC"

# ── languages, time, files ────────────────────────────────────────────────────────────────────────
LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English")]
LOCALE_PATHS = [BASE_DIR / "locale"]
FORMAT_MODULE_PATH = ["domventas.formats"]
USE_I18N = True
USE_TZ = True
TIME_ZONE = "UTC"
STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_USE_FINDERS = True  # serves static files without collectstatic; production collects
WHITENOISE_AUTOREFRESH = DEBUG

# ── safety ────────────────────────────────────────────────────────────────────────────────────────
TLS = not OWN_SERVERS and not DEBUG
SECURE_SSL_REDIRECT = SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = TLS
SECURE_HSTS_SECONDS = 31_536_000 if TLS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = TLS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if env_bool("BEHIND_PROXY") else None
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
# Scripts come from files of ours alone; unfold's Alpine evaluates the expressions of its templates, so unsafe-eval.
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'self'"], "script-src": ["'self'", "'unsafe-eval'"],
        "style-src": ["'self'", "'unsafe-inline'"],
        "img-src": ["'self'", "data:", "blob:"], "object-src": ["'none'"], "base-uri": ["'none'"],
        "form-action": ["'self'"], "frame-ancestors": ["'none'"], "connect-src": ["'self'"], "font-src": ["'self'"],
    }
}  # fmt: skip
SECURE_REFERRER_POLICY = "same-origin"
SESSION_COOKIE_HTTPONLY = True
CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = 12 * 3600
X_FRAME_OPTIONS = "DENY"
DATA_UPLOAD_MAX_MEMORY_SIZE = 50 * 1024 * 1024
IMPORT_EXPORT_IMPORT_PERMISSION_CODE = "import"  # unset means that everybody may
IMPORT_EXPORT_EXPORT_PERMISSION_CODE = "export"

# ── faces ─────────────────────────────────────────────────────────────────────────────────────────
PRIMARY = {
    "50": "#f1f6fa", "100": "#e0ebf4", "200": "#c4d9ea", "300": "#98bedb", "400": "#669cc6", "500": "#447fb0",
    "600": "#336696", "700": "#2b537a", "800": "#274766", "900": "#243d56", "950": "#18283a",
}  # fmt: skip
UNFOLD = {
    "SITE_TITLE": "domventas",
    "SITE_HEADER": "domventas",
    "SITE_SYMBOL": "storefront",
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": "domventas.core.admin.favicon"}],
    "SHOW_HISTORY": False,
    "SHOW_VIEW_ON_SITE": False,
    "SITE_DROPDOWN": "domventas.core.admin.client_links",
    "SIDEBAR": {"show_search": False, "navigation": "domventas.core.admin.navigation"},
    "ENVIRONMENT": "domventas.core.admin.zone_label",
    "STYLES": ["domventas.core.admin.stylesheet"],
    "COLORS": {"primary": PRIMARY},
}
API = "domventas.core.api"
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [f"{API}.machines.ByToken"],
    "DEFAULT_PERMISSION_CLASSES": [f"{API}.machines.MayArea"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_FILTER_BACKENDS": ["django_filters.rest_framework.DjangoFilterBackend"],
    "DEFAULT_PAGINATION_CLASS": f"{API}.paging.Pages",
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": f"{API}.problems.handle",
    "UNAUTHENTICATED_USER": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "domventas", "VERSION": "1", "SERVE_INCLUDE_SCHEMA": False, "OAS_VERSION": "3.1.0",
    "SERVE_PERMISSIONS": [], "SERVE_AUTHENTICATION": [], "COMPONENT_SPLIT_REQUEST": True,
    "SWAGGER_UI_DIST": "SIDECAR", "SWAGGER_UI_FAVICON_HREF": "SIDECAR", "REDOC_DIST": "SIDECAR",
    "POSTPROCESSING_HOOKS": [f"{API}.description.complete"],
}  # fmt: skip
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": env("LOG_LEVEL", "WARNING")},
    "loggers": {"urllib3": {"level": "WARNING"}},  # its DEBUG lines quote addresses with all their parameters
}
