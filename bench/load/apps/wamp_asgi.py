"""The bench's application for ASGI servers: `BENCH_PACKAGE=serverwamp uvicorn wamp_asgi:app`."""

import os

from wamp_app import build

app = build(os.environ['BENCH_PACKAGE']).asgi_application(['/ws'])
