"""From settings to who may call the API and what each caller may do."""

from ipaddress import ip_address
from pathlib import Path
from typing import Any

import falcon
from prometheus_client import CollectorRegistry

from livia.api.app import create
from livia.api.auth import Authenticator, NoAuth, Testing
from livia.api.auth_basic import HttpBasic
from livia.api.healthcheck import BackendError
from livia.api.policy import AdminPolicy, Policy
from livia.api.users import UserFile, UserFileError
from livia.core.clock import Clock
from livia.ops.settings import Settings, SettingsError
from livia.services.context import Deps

_NO_KEYSTONE = (
    "[api_settings] auth_strategy = keystone cannot be used: Livia does not check tokens. Set it to http_basic and "
    "add users with 'livia user add', or to noauth on a loopback address."
)


def application(settings: Settings, deps: Deps, registry: CollectorRegistry | None = None) -> falcon.App[Any, Any]:
    """The API with the authentication, policy, CORS and health check of complete settings. Raises SettingsError.

    `registry`: where its metrics go.
    """
    try:
        return create(
            deps,
            authenticator=authenticator_of(settings, deps.clock),
            policy=policy_of(settings, deps.clock),
            cors=settings.cors,
            healthcheck=settings.healthcheck,
            registry=registry,
        )
    except BackendError as error:
        raise SettingsError(str(error), public="[healthcheck] cannot be used: its log says why.") from error


def authenticator_of(settings: Settings, clock: Clock) -> Authenticator:
    """The strategy of `[api_settings] auth_strategy`. Raises SettingsError."""
    match settings.access.auth_strategy:
        case "noauth":
            return NoAuth(settings.api.default_project)
        case "testing":
            return Testing()
        case "http_basic":
            try:
                return HttpBasic(_users(settings), clock)
            except UserFileError as error:
                raise SettingsError(str(error), public=str(error)) from error
        case "keystone":
            raise SettingsError(_NO_KEYSTONE)


def policy_of(settings: Settings, clock: Clock) -> Policy:
    """What decides over requests. Raises SettingsError."""
    if settings.access.auth_strategy == "noauth":
        return AdminPolicy()
    from livia.api.policy_files import FilePolicy  # a quarter of the start-up time, and not needed above
    from livia.api.policy_source import PolicyError

    try:
        return FilePolicy(settings.policy, settings.directories, clock)
    except PolicyError as error:
        raise SettingsError(str(error), public=str(error)) from error


def problems(settings: Settings) -> list[str]:
    """Why nobody could call an API with complete settings, in a sentence; empty when somebody can."""
    strategy = settings.access.auth_strategy
    if strategy == "keystone":
        return [_NO_KEYSTONE]
    if strategy == "http_basic" and not _users(settings).exists():
        file = settings.access.http_basic_user_file
        return [f"Nobody could log in: there are no users in {file}. Add one with 'livia user add'."]
    return []


def open_without_authentication(settings: Settings) -> list[str]:
    """One sentence about an API that would believe everybody who can reach it."""
    host = settings.server.bind_host
    if settings.access.auth_strategy not in ("noauth", "testing") or _is_loopback(host):
        return []
    return [
        f"The API would listen on {host} without authentication and believe everybody: set [api_settings] "
        "auth_strategy to http_basic and add users with 'livia user add', or set bind_host to a loopback address."
    ]


def _users(settings: Settings) -> UserFile:
    return UserFile(Path(settings.access.http_basic_user_file))


def _is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
