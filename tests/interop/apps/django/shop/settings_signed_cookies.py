"""The same project with its sessions in signed cookies."""

from .settings import *  # noqa: F403

SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
