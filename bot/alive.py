"""The image's health check: whether the process that serves in this container answers on its HTTP edge."""

import http.client
import os
import sys
from contextlib import closing

#: Seconds to wait for the server; the Dockerfile's HEALTHCHECK gives the whole program five.
TIMEOUT = 3.0


def main() -> int:
    """0 if /healthz on port MAINT_HTTP_PORT (default 3000) of this machine answers 200; else 1, and why."""
    port = os.environ.get("MAINT_HTTP_PORT", "3000")
    url = f"http://127.0.0.1:{port}/healthz"
    try:
        # Not urllib: it would ask the proxy that the environment names.
        with closing(http.client.HTTPConnection("127.0.0.1", int(port), timeout=TIMEOUT)) as connection:
            connection.request("GET", "/healthz")
            status = connection.getresponse().status
    except (OSError, OverflowError, ValueError, http.client.HTTPException) as error:
        sys.stdout.write(
            f"{url} does not answer: {error}. It does once Maint has started, "
            "if maint.yaml has `http:` with this port; MAINT_HTTP_PORT names another.\n"
        )
        return 1
    sys.stdout.write(f"{url} answers {status}.\n")
    return 0 if status == http.client.OK else 1


if __name__ == "__main__":
    sys.exit(main())
