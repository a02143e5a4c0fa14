"""What a service allows, and how it works."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ServiceSettings:
    """Limits and ways of a service."""

    max_body_bytes: int = 1 << 20
    """Of a request; more: status 413."""
    max_texts: int = 1000
    """Of a request; more: status 422."""
    max_characters: int = 20_000
    """Of a text; more: status 422."""
    max_waiting: int = 256
    """Requests that wait for the scoring process or are in it; more: status 503."""
    max_connections: int = 1000
    """Open at once; one more takes the place of an idle one, or is refused (status 503)."""
    timeout: float = 10.0
    """Seconds for receiving a request (status 408), and again for answering it (status 504); and for which a
    client may read nothing of its answer."""
    batching: bool = True
    """Score texts of requests that wait together; else one request after the other."""
    batch_milliseconds: float = 0.0
    """How long an idle scoring process waits for company for a first request; a busy one gets next what has
    come meanwhile."""
    token: str | None = None
    """Bearer token that requests must bring; None: none."""
    allowed_hosts: tuple[str, ...] = ()
    """Names that requests may give in their Host header, in lower case, without a port; empty: any."""
    log_texts: bool = False
    """Whether texts may stand in the log."""
