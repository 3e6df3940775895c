"""Settings: the only reader of ``os.environ``.

Every setting is an environment variable ``RIE_...`` and a flag of ``rie serve`` with the same name. A wrong value is
refused at start with one line (ConfigurationError). Immutable.
"""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rie_server.errors import ConfigurationError

EXECUTORS = ("auto", "process", "docker")
CLOCKS = ("system", "manual")
LOG_DELIVERIES = ("none", "cloudwatch")
AUTHS = ("none", "iam")
# Settings whose values may hold a password, also where they are not well formed: they are never told.
SECRETIVE = frozenset({"access_keys", "database_url", "documentdb_endpoints", "mq_endpoints"})


def _setting(default: Any, read: Callable[[str], Any], doc: str) -> Any:
    return field(default=default, metadata={"read": read, "doc": doc})


def _text(value: str) -> str:
    return value


def _number(minimum: int, maximum: int) -> Callable[[str], int]:
    def read(value: str) -> int:
        if not re.fullmatch(r"-?\d+", value) or not minimum <= int(value) <= maximum:
            raise ValueError(f"a whole number from {minimum} to {maximum}")
        return int(value)

    return read


def _seconds(value: str) -> float:
    try:
        seconds = float(value)
    except ValueError:
        seconds = -1.0
    if not 0 < seconds < float("inf"):
        raise ValueError("a number of seconds above 0")
    return seconds


def _speed(value: str) -> float:
    try:
        speed = float(value)
    except ValueError:
        speed = -1.0
    if not 1 <= speed <= 10_000:
        raise ValueError("a number from 1 to 10000")
    return speed


def _matching(pattern: str, words: str) -> Callable[[str], str]:
    def read(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise ValueError(words)
        return value

    return read


def _one_of(*values: str) -> Callable[[str], str]:
    def read(value: str) -> str:
        if value not in values:
            raise ValueError(f"one of {', '.join(values)}")
        return value

    return read


def _path(value: str) -> Path:
    return Path(value).expanduser().absolute()


def _existing_file(value: str) -> Path:
    path = _path(value)
    if not path.is_file():
        raise ValueError("a file that exists")
    return path


def _image_pattern(value: str) -> str:
    # Only the name itself: a format string could also ask for attributes, widths and conversions.
    if re.search(r"[{}\s]", value.replace("{runtime}", "")) or not value.isprintable():
        raise ValueError("the name of an image, with {runtime} as the only braces")
    return value


def _bootstrap_servers(value: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    found = []
    for entry in _names(value):
        arn, _, servers = entry.partition("=")
        if not re.fullmatch(r"arn:\S+", arn) or not re.fullmatch(r"[^\s:;]+:\d+(;[^\s:;]+:\d+)*", servers):
            raise ValueError("a list such as CLUSTER_ARN=host:9092;host:9092,CLUSTER_ARN=host:9092")
        found.append((arn, tuple(servers.split(";"))))
    return tuple(found)


def _names(value: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in value.split(",") if name.strip())


def _access_keys(value: str) -> tuple[tuple[str, str, str], ...]:
    """Id, secret and principal (an account, a service, or nothing)."""
    entries = [
        re.fullmatch(r"(\w{1,128})=(\S+?)(?:@(\d{12}|[a-z0-9.-]+\.amazonaws\.com))?", entry) for entry in _names(value)
    ]
    if None in entries:
        raise ValueError("a list such as KEY=SECRET,KEY=SECRET@123456789012,KEY=SECRET@s3.amazonaws.com")
    return tuple((entry[1], entry[2], entry[3] or "") for entry in entries if entry is not None)


def _addresses(schemes: str, example: str) -> Callable[[str], tuple[tuple[str, str], ...]]:
    """``arn=url`` by commas. A URL may hold commas itself (a replica set), so an entry begins where an ARN does."""

    def read(value: str) -> tuple[tuple[str, str], ...]:
        entries = [entry.strip().rstrip(",") for entry in re.split(r",\s*(?=arn:)", value) if entry.strip(", ")]
        if not all(re.fullmatch(rf"arn:[^=\s]+=({schemes})://[^/\s:,]\S*", entry) for entry in entries):
            raise ValueError(f"a list such as {example}")
        return tuple((arn, url) for arn, _, url in (entry.partition("=") for entry in entries))

    return read


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the server is told from outside; defaults make ``rie serve`` work on a fresh machine."""

    host: str = _setting("127.0.0.1", _text, "Address of the Lambda API; whoever reaches it can run code.")
    port: int = _setting(9000, _number(1, 65535), "Port of the Lambda API.")
    runtime_host: str = _setting(
        "", _text, "Address of the Runtime API for containers; empty: the Docker bridge's gateway, else 127.0.0.1."
    )
    runtime_port: int = _setting(9001, _number(1, 65535), "Port of the Runtime API.")
    data_dir: Path = _setting(Path(".rie").absolute(), _path, "Functions, code, queue and logs live here.")
    database_url: str = _setting(
        "", _text, "Database of functions and queue, postgresql://...; empty: SQLite in the data folder."
    )
    async_retry_base_seconds: float = _setting(
        60.0, _seconds, "How long a failed event waits for its first retry; for the second one twice as long."
    )
    executor: str = _setting("auto", _one_of(*EXECUTORS), "What runs functions: process, docker or auto.")
    keepalive_seconds: float = _setting(600.0, _seconds, "How long an idle environment is kept.")
    max_environments: int = _setting(
        0, _number(0, 100_000), "Most environments at a time; 0: what the host's memory allows."
    )
    code_storage_gb: int = _setting(
        75, _number(1, 1_000_000), "Most code of functions, versions and layers in a region of an account, in GB."
    )
    freeze: int = _setting(
        0, _number(0, 1), "1: environments are frozen between invocations, as in AWS; every invocation gets slower."
    )
    region: str = _setting(
        "us-east-1",
        _matching(r"[a-z]{2}(-[a-z]+)+-\d", "a region such as us-east-1"),
        "Region of unsigned requests; a signed request's own region wins.",
    )
    account_id: str = _setting(
        "000000000000",
        _matching(r"\d{12}", "twelve digits"),
        "Account of requests whose access key names none, and of the template.",
    )
    template: Path | None = _setting(None, _existing_file, "SAM template whose functions are deployed at start.")
    runtime_image: str = _setting(
        "rie-server/{runtime}",
        _image_pattern,
        "Image in which Docker runs zip functions; {runtime} is for example python3.12.",
    )
    auth: str = _setting(
        "none", _one_of(*AUTHS), "Who may call the Lambda API: none asks nobody, iam wants signed requests."
    )
    access_keys: tuple[tuple[str, str, str], ...] = _setting(
        (),
        _access_keys,
        "Keys that sign requests: KEY=SECRET, KEY=SECRET@ACCOUNT or KEY=SECRET@SERVICE (commas); empty: test=test.",
    )
    allowed_hosts: tuple[str, ...] = _setting((), _names, "Further Host names the Lambda API answers to (commas).")
    cors_origins: tuple[str, ...] = _setting((), _names, "Web origins that may call the Lambda API (commas).")
    drain_seconds: float = _setting(30.0, _seconds, "How long SIGTERM waits for running invocations.")
    stream_bandwidth: int = _setting(
        0,
        _number(0, 64 * 1024 * 1024),
        "Bytes a second of a streamed response after its first 6 MB (in AWS 2097152); 0: as fast as it goes.",
    )
    clock: str = _setting(
        "system",
        _one_of(*CLOCKS),
        "What retries, ages and keep-alive go by: system, or manual (moved by POST /_rie/clock).",
    )
    clock_speed: float = _setting(1.0, _speed, "How many times faster than real time the system clock runs for them.")
    mq_endpoints: tuple[tuple[str, str], ...] = _setting(
        (),
        _addresses(r"amqps?|stomp(?:\+ssl)?", "BROKER_ARN=amqp://host:5672,BROKER_ARN=stomp+ssl://host:61614"),
        "Where brokers of Amazon MQ are, ARN=amqp[s]://host:port or ARN=stomp[+ssl]://host:port (commas).",
    )
    documentdb_endpoints: tuple[tuple[str, str], ...] = _setting(
        (),
        _addresses(r"mongodb(?:\+srv)?", "CLUSTER_ARN=mongodb://host:27017"),
        "Where DocumentDB clusters are, ARN=mongodb://host:port/?options (commas).",
    )
    msk_bootstrap_servers: tuple[tuple[str, tuple[str, ...]], ...] = _setting(
        (),
        _bootstrap_servers,
        "Where MSK clusters are, ARN=host:port;host:port (commas); others are asked of AWS (GetBootstrapBrokers).",
    )
    log_delivery: str = _setting(
        "none", _one_of(*LOG_DELIVERIES), "Where logs go beside files and the output: none, or cloudwatch (by boto3)."
    )
    xray_daemon_address: str = _setting(
        "",
        _matching(r"[^\s:]+:\d{1,5}", "host:port"),
        "Where X-Ray's daemon takes segments (UDP); functions are told it, too; empty: nowhere.",
    )
    otlp_endpoint: str = _setting(
        "",
        _matching(r"https?://[^\s/]+\S*", "a URL such as http://127.0.0.1:4318"),
        "OpenTelemetry collector that takes traces (OTLP/HTTP, JSON); empty: nowhere.",
    )
    function_variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def lambda_url(self) -> str:
        """The Lambda API, for whoever is on this machine."""
        host = "127.0.0.1" if self.host in {"0.0.0.0", "::", ""} else self.host  # noqa: S104 - compared, not bound
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    @classmethod
    def from_environ(cls, environ: Mapping[str, str] | None = None, **flags: str | None) -> "Settings":
        """Settings from ``RIE_*`` variables; ``flags`` (by field name) win over them.

        Raises:
            ConfigurationError: one line that names the setting, the value and what is allowed.
        """
        environ = os.environ if environ is None else environ
        values: dict[str, Any] = {}
        for name, spec in cls.__dataclass_fields__.items():
            if "read" not in spec.metadata:
                continue
            variable = f"RIE_{name.upper()}"
            flag = flags.get(name)
            raw, origin = (
                (flag, f"--{name.replace('_', '-')}") if flag is not None else (environ.get(variable), variable)
            )
            if raw is None or raw == "":
                continue
            try:
                values[name] = spec.metadata["read"](raw)
            except ValueError as wrong:
                told = "..." if name in SECRETIVE else repr(raw)
                raise ConfigurationError(f"{origin}={told} is not {wrong}.") from None
        known = {f"RIE_{name.upper()}" for name in cls.__dataclass_fields__} | {"RIE_REQUIRE"}
        unknown = sorted(name for name in environ if name.startswith("RIE_") and name not in known)
        if unknown:
            raise ConfigurationError(f"{unknown[0]} is no setting of this server.")
        neighbours = _neighbours(environ)
        if "xray_daemon_address" in values:
            neighbours["AWS_XRAY_DAEMON_ADDRESS"] = values["xray_daemon_address"]
        settings = cls(**values, function_variables=neighbours)
        if settings.clock == "manual" and settings.clock_speed != 1:
            raise ConfigurationError("RIE_CLOCK_SPEED is for RIE_CLOCK=system: a manual clock stands still.")
        return settings


def _neighbours(environ: Mapping[str, str]) -> dict[str, str]:
    """The AWS endpoints that functions must see too, so that boto3 in a handler talks to the same neighbours."""
    return {
        name: value
        for name, value in environ.items()
        if name == "AWS_ENDPOINT_URL" or name.startswith("AWS_ENDPOINT_URL_")
    }
