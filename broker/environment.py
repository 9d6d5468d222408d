"""What can be set from outside: the environment's variables that begin with BERTH_, each with a default that works.

`docs/settings.md` lists them; broker.settings makes Django's settings of them.
"""

from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Literal

from pydantic import Field, IPvAnyNetwork, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Environment(BaseSettings):
    """What can be set from outside; names are upper-cased and prefixed with BERTH_."""

    model_config = SettingsConfigDict(env_prefix="BERTH_", extra="ignore")

    data_dir: Path = Field(
        default=Path("/var/lib/berth"), description="Where the database, the secret key and local storage live"
    )
    database_url: SecretStr = Field(
        default=SecretStr(""),
        description="postgresql://user:password@host/name; empty: SQLite in data_dir. With a pooler: ?prepare=off",
    )
    broker_url: SecretStr = Field(
        default=SecretStr(""), description="redis:// or amqp:// for Celery; empty: inside the one process"
    )
    redis_url: SecretStr = Field(
        default=SecretStr(""), description="redis:// for live updates between processes; empty: inside the one process"
    )
    secret_key: SecretStr = Field(
        default=SecretStr(""), description="Signs sessions; empty: made once and kept in data_dir"
    )
    debug: bool = Field(default=False, description="Development only: tracebacks in the browser")
    listen: str = Field(default="127.0.0.1:8000", description="Address and port of the pages and consoles")
    origins: list[str] = Field(
        default_factory=list, description='Public addresses, e.g. ["https://vdi.example.org"]; empty: http on `listen`'
    )
    allowed_hosts: list[str] = Field(default_factory=list, description="Host names beside those of `origins`")
    behind_proxy: bool = Field(
        default=False, description="Trust X-Forwarded-Proto and -For of the proxies in `trusted_proxies`"
    )
    trusted_proxies: list[str] = Field(
        default_factory=lambda: ["127.0.0.1", "::1"],
        description="Addresses and networks of the proxies in front; what others claim to forward is ignored",
    )
    sign_in_tries: int = Field(
        default=60,
        ge=5,
        description="Failed sign-ins from one address before it must wait; they come back, ten a minute",
    )
    api_made_a_minute: int = Field(
        default=300, ge=1, description="Things one account may make by the API in a minute, for each web process"
    )
    console_engine: Literal["picows", "websockify"] = Field(
        default="picows", description="Which relay carries consoles"
    )
    console_linger: float = Field(
        default=5.0,
        ge=0,
        le=50,
        description="Seconds within which a gateway that was told to stop moves its consoles to another",
    )
    console_check_every: float = Field(
        default=10.0, gt=0, le=10, description="Seconds after which a gateway asks again who may still see a screen"
    )
    native_address: str = Field(
        default="",
        description="host:port where remote-viewer comes in (the gateway's --native); empty: the public port itself",
    )
    console_ca_dir: str = Field(
        default="", description="Directory with ca-cert.pem, client-cert.pem, client-key.pem for remote consoles"
    )
    rdp_networks: list[IPv4Network | IPv6Network] = Field(
        default_factory=list,
        description="Networks of desktops that gateways may reach by RDP for browsers; empty: none",
    )
    rdp_most: int = Field(default=20, ge=1, description="RDP sessions for browsers in one gateway at a time")
    recordings_dir: Path | None = Field(
        default=None,
        description="Where recordings lie; gateways, workers and web must all see it; empty: in data_dir",
    )
    recordings_days: int = Field(default=30, ge=1, description="Days after which recordings are deleted")
    recording_mib: int = Field(default=2048, ge=1, description="Largest size of one recording; it ends there")
    recordings_gib: int = Field(default=50, ge=0, description="With more than this no new recording begins")
    job_lease: float = Field(default=30.0, gt=0, description="Seconds after which a silent worker's job is taken over")
    worker_threads: int = Field(default=8, ge=1, le=64, description="Jobs at the same time in one worker")
    starts_per_cpu: float = Field(
        default=2.0, gt=0, description="Machines a pool starts at once, for each processor of a host"
    )
    starts_per_host: int = Field(default=0, ge=0, description="The same for each host; 0: by its processors")
    starts_per_cluster: int = Field(default=0, ge=0, description="The same for a cluster; 0: what its hosts bear")
    starts_asked: float = Field(
        default=3.0, ge=1, description="What people start begins up to so many times those numbers; others wait"
    )
    observe_every: float = Field(default=10.0, gt=0, description="Seconds between full passes over a host")
    fence_dir: Path = Field(default=Path("/usr/sbin"), description="Where the agents of the package fence-agents lie")
    metrics_token: SecretStr = Field(
        default=SecretStr(""), description="Bearer token that /metrics asks for; empty: only this computer may read it"
    )
    mail_host: str = Field(default="", description="Mail server for notifications; empty: no mail is sent")
    mail_port: int = Field(default=25, ge=1, le=65535, description="Its port")
    mail_tls: Literal["none", "starttls", "tls"] = Field(default="none", description="How mail travels to it")
    mail_user: str = Field(default="", description="Name to sign in there with; empty: none")
    mail_password: SecretStr = Field(default=SecretStr(""), description="Password to sign in there with")
    mail_from: str = Field(default="berth@localhost", description="Address that mail comes from")
    webhook_hosts: list[str] = Field(
        default_factory=list, description="Internal hosts and networks that webhooks may be sent to"
    )
    physical_networks: list[IPvAnyNetwork] = Field(
        default_factory=list,
        description="Networks that physical PCs may be in; empty: private ones (RFC 1918, RFC 4193)",
    )
    site_name: str = Field(
        default="Berth",
        min_length=1,
        max_length=40,
        description="What the pages call themselves, in titles and at the top",
    )
    site_logo: Path | None = Field(
        default=None,
        description="An SVG, PNG or WebP file of at most 256 KiB that stands for Berth's own logo; read once",
    )
    sign_in_notice: str = Field(
        default="",
        max_length=2000,
        description="What everybody is to read before signing in, as plain text; an empty line begins a paragraph",
    )
    log_level: str = Field(default="INFO", description="DEBUG, INFO, WARNING or ERROR")
