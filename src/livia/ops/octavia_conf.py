"""Reads octavia.conf files, through oslo.config, into settings (contract 90)."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_origin, get_type_hints

import msgspec

from livia.ops import known
from livia.ops.settings import EMBEDDED, HealthSettings, Settings, SettingsError
from livia.services.settings import ApiSettings

#: section of octavia.conf to the fields of `Settings` that read it
READERS = {
    "DEFAULT": ("common",),
    "api_settings": ("server", "access", "api"),
    "oslo_middleware": ("api",),
    "oslo_policy": ("policy",),
    "cors": ("cors",),
    "healthcheck": ("healthcheck",),
    "quotas": ("api",),
    "networking": ("api",),
    "controller_worker": ("controller", "api"),
    "haproxy_amphora": ("agent", "api"),
    "amphora_agent": ("amphora_agent",),
    "database": ("database",),
    "health_manager": ("health",),
    "house_keeping": ("house",),
    "certificates": ("certificates",),
    "livia": ("livia",),
}

#: options of `ApiSettings` to their section, where that is not [api_settings]
_ELSEWHERE = {
    **dict.fromkeys(("max_request_body_size", "enable_proxy_headers_parsing"), "oslo_middleware"),
    **dict.fromkeys(("allow_vip_network_id", "allow_vip_subnet_id", "allow_vip_port_id"), "networking"),
    **dict.fromkeys(("valid_vip_networks", "denylist_vip_networks", "reserved_ips"), "networking"),
    **dict.fromkeys((name for name in ApiSettings.__struct_fields__ if name.endswith("_quota")), "quotas"),
    **dict.fromkeys((name for name in ApiSettings.__struct_fields__ if name.startswith("timeout_")), "haproxy_amphora"),
    "loadbalancer_topology": "controller_worker",
}

#: the least that an option takes: with less a loop would have no pause, or a service no thread
_LEAST = {
    "haproxy_amphora": {"rest_request_conn_timeout": 0.1, "rest_request_read_timeout": 0.1},
    "health_manager": {
        "failover_threads": 1.0,
        "failover_threshold": 0.0,
        "health_check_interval": 0.1,
        "heartbeat_interval": 0.1,
        "heartbeat_timeout": 0.1,
    },
    "house_keeping": {
        "amphora_expiry_age": 0.0,
        "cert_expiry_buffer": 0.0,
        "cert_interval": 1.0,
        "cleanup_interval": 1.0,
        "load_balancer_expiry_age": 0.0,
        "spare_amphora_pool_size": 0.0,
        "spare_check_interval": 1.0,
    },
    "livia": {
        "advert_interval": 0.01,
        "canary_interval": 0.0,
        "deadline": 1.0,
        "drift_checks_per_minute": 0.0,
        "event_expiry_age": 0.0,
        "host_capacity": 0.0,
        "orphan_check_interval": 1.0,
        "orphan_grace": 0.0,
        "reconcile_threads": 1.0,
        "unattended_check_interval": 1.0,
    },
}

#: so many heartbeats may be expected of an amphora before it is suspected
_BEATS = 3

#: options that may be given several times, each time with a further value
_REPEATED = frozenset({("oslo_policy", "policy_dirs")})

#: as oslo.config spells them
_BOOLEANS = {
    **dict.fromkeys(("true", "1", "yes", "on"), True),
    **dict.fromkeys(("false", "0", "no", "off"), False),
}


def load(files: Sequence[Path], base: Settings = EMBEDDED) -> tuple[Settings, list[str]]:
    """Settings from `files` over `base`, and what to tell their author: of options without effect, and of unknown ones.

    Raises SettingsError for a file that cannot be read and for a value that its option does not take.
    """
    warnings: list[str] = []
    changed: dict[str, dict[str, Any]] = {}
    for section, options in _parse(files).items():
        if section not in READERS:
            warnings += known.about_section(section, READERS)
            continue
        readable, unread = options_of(section), []
        for name, given in options.items():
            option = known.RENAMED.get((section, name), name)
            if option not in readable:
                unread.append(option)
                continue
            reader, kind = readable[option]
            text = ",".join(given) if (section, option) in _REPEATED else given[-1]
            changed.setdefault(reader, {})[option] = _value(section, option, text, kind)
        warnings += known.about_options(section, unread, readable)
    parts = {name: msgspec.structs.replace(getattr(base, name), **values) for name, values in changed.items()}
    settings = msgspec.structs.replace(base, directories=_directories(files), **parts)
    return settings, [*warnings, *_about_heartbeats(settings.health)]


def _about_heartbeats(health: HealthSettings) -> list[str]:
    """Warned of and not refused: agents have an interval of their own, which may be another than this file's."""
    timeout, interval = health.heartbeat_timeout, health.heartbeat_interval
    if timeout >= _BEATS * interval:
        return []
    if timeout <= interval:
        outcome = "every amphora is suspected between any two heartbeats, and asked whether it lives"
    else:
        outcome = "an amphora is suspected when a heartbeat or two of it are lost"
    return [
        f"[health_manager] heartbeat_timeout = {timeout:g} is less than three times heartbeat_interval = {interval:g}: "
        f"{outcome}."
    ]


def _directories(files: Sequence[Path]) -> tuple[Path, ...]:
    """Those of the files, the last one first, and then where OpenStack's services look (contract 90, section 0)."""
    own = [path.absolute().parent for path in reversed(files)]
    return tuple(dict.fromkeys([*own, Path.home() / ".octavia", Path.home(), Path("/etc/octavia"), Path("/etc")]))


def _parse(files: Sequence[Path]) -> dict[str, dict[str, list[str]]]:
    if not files:
        return {}
    from oslo_config import cfg  # half of the start-up time, and mostly not needed

    merged: dict[str, dict[str, list[str]]] = {}
    for path in files:
        sections: dict[str, dict[str, list[str]]] = {}
        try:
            cfg.ConfigParser(str(path), sections).parse()
        except (OSError, cfg.ParseError) as error:
            raise SettingsError(f"The configuration file {path} cannot be read: {error}") from error
        for section, options in sections.items():
            merged.setdefault(section, {}).update(options)
    return merged


def options_of(section: str) -> dict[str, tuple[str, Any]]:
    """What is read of a section: option to the field of `Settings` that has it, and its type."""
    return {
        option: (reader, kind)
        for reader in reversed(READERS[section])
        for option, kind in get_type_hints(get_type_hints(Settings)[reader]).items()
        if reader != "api" or _ELSEWHERE.get(option, "api_settings") == section
    }


def _value(section: str, option: str, text: str, kind: Any) -> object:
    """One option's value: lists by commas, dicts as key:value by commas (contract 90)."""
    origin = get_origin(kind)
    if origin is tuple:
        return tuple(part.strip() for part in text.split(",") if part.strip())
    if origin is dict:
        pairs = (part.partition(":") for part in text.split(",") if part.strip())
        return {key.strip(): value.strip() for key, _, value in pairs}
    if kind is Path:
        return Path(text.strip())
    plain: object = text.strip()
    if kind is bool:
        plain = _BOOLEANS.get(text.strip().lower(), plain)
    try:
        value: object = msgspec.convert(plain, kind, strict=False)
    except msgspec.ValidationError as error:
        raise SettingsError(f"[{section}] {option} = {text!r}: {error}.") from error
    least = _LEAST.get(section, {}).get(option)
    # What is no number at all (nan) is not between these, either.
    if least is not None and isinstance(value, (int, float)) and not least <= value < math.inf:
        raise SettingsError(f"[{section}] {option} = {text!r}: it is {least:g} or more.")
    return value
