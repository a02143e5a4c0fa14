"""Settings and limits of the service."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ServiceSettings:
    """Settings and limits of a service; the defaults are those of ``lmclassify serve``."""

    max_body_bytes: int = 1 << 20
    """Maximum size of a request body in bytes; a larger one gets status 413."""
    max_texts: int = 1000
    """Maximum number of texts per request; more get status 422."""
    max_characters: int = 20_000
    """Maximum number of characters (code points) per text; a longer one gets status 422."""
    max_waiting: int = 256
    """Maximum number of requests that are queued or being scored; further ones get status 503."""
    max_connections: int = 1000
    """Maximum number of open connections. A new one replaces the longest idle one; if none is idle, it gets
    status 503."""
    timeout: float = 10.0
    """Seconds for receiving a request (else status 408) and for answering it (else status 504). A client that
    reads nothing of its response for this long is disconnected."""
    worker_timeout: float | None = None
    """Seconds after which a scoring process that does not answer is replaced; None: twice `timeout`."""
    restart_delay: float = 1.0
    """Seconds between attempts to start a scoring process."""
    batching: bool = True
    """Whether texts of waiting requests are scored together; otherwise requests are scored one by one."""
    batch_milliseconds: float = 0.0
    """How long an idle scoring process waits for further requests before it starts on the first one. A busy
    process always takes next what has arrived in the meantime."""
    token: str | None = None
    """Bearer token that requests must send; None: no token is required."""
    allowed_hosts: tuple[str, ...] = ()
    """Accepted names in the Host header, in lower case and without a port; empty: any name."""
    user_models: bool = False
    """Whether users have models of their own, below ``/v1/users/``."""
    learn: bool = False
    """Whether requests may teach the model."""
    log_texts: bool = False
    """Whether texts may be written to the log."""

    @property
    def seconds_to_answer_batch(self) -> float:
        """Seconds after which a scoring process that has not answered a batch is replaced."""
        return 2 * self.timeout if self.worker_timeout is None else self.worker_timeout
