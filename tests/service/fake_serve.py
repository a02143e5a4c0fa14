"""A service of the fake scorer as a process: ``python -m tests.service.fake_serve WATCH OPTIONS``.

WATCH is a folder to watch, or empty; OPTIONS are those of `tests.service.fake_scorer`, as JSON.
"""

import json
import logging
import sys

from lmclassify.service.server import serve
from lmclassify.service.settings import ServiceSettings
from lmclassify.service.sockets import listen_on_port
from lmclassify.service.worker_process import WorkerCommand

if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    watch, options = sys.argv[1], json.loads(sys.argv[2])
    with listen_on_port("127.0.0.1", 0) as listener:
        address = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        serve(
            WorkerCommand(options, "tests.service.fake_scorer"),
            ServiceSettings(timeout=3600),
            listener,
            watch=watch or None,
            on_start=lambda: print(f"serving the fake on {address}", file=sys.stderr, flush=True),
        )
