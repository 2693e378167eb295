"""A small real embedding server: OpenAI's and text-embeddings-inference's addresses, own latency and troubles.

Vectors depend on the input alone, so that a text finds itself. In a test `serve()` runs it in a thread; as a program
(`python -m tests.embedding_server --latency 0.2`) it prints its port and serves until it is ended.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np

DIM = 16


@dataclass
class Behaviour:
    """How the server answers, and what it has seen.

    Attributes:
        latency: seconds that every answer takes. rows_per_second: what all requests together get, 0 = any.
        trouble: statuses that the next requests get instead of an answer; 0 closes the connection.
        key: the API key asked for. most_rows: larger requests get 413. dim: values of a vector.
        seen: bodies of the requests. most_at_once: requests that were open at one time.
    """

    latency: float = 0.0
    rows_per_second: float = 0.0
    trouble: list[int] = field(default_factory=list)
    key: str = ""
    most_rows: int = 0
    dim: int = DIM
    answer: bytes | None = None
    seen: list[dict[str, Any]] = field(default_factory=list)
    most_at_once: int = 0


def vector(row: str | list[int], dim: int = DIM) -> list[float]:
    """The vector of a text or of token ids: not of length 1."""
    digest = hashlib.blake2b(json.dumps(row).encode(), digest_size=8).digest()
    return np.random.default_rng(int.from_bytes(digest, "little")).standard_normal(dim).tolist()  # type: ignore


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        self._send(200, {"model_id": "acme/served", "model_sha": "abc123"} if self.path == "/info" else {})

    def do_POST(self) -> None:
        with self.server.counting():
            self._answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    def _answer(self, body: dict[str, Any]) -> None:
        how = self.server.behaviour
        how.seen.append(body)
        rows = body["inputs"] if self.path == "/embed" else body.get("input", [])
        self.server.work(len(rows))
        if how.trouble:
            status = how.trouble.pop(0)
            if not status:
                self.close_connection = True
                self.connection.close()
                return
            self._send(status, {"error": {"message": f"trouble {status}"}})
        elif how.key and self.headers.get("Authorization") != f"Bearer {how.key}":
            self._send(401, {"error": {"message": "no key"}})
        elif how.most_rows and len(rows) > how.most_rows:
            self._send(413, {"error": "batch size > maximum", "error_type": "Validation"})
        elif self.path == "/embed":
            self._send(200, [vector(row, how.dim) for row in rows])
        elif self.path == "/v1/embeddings":
            data = [{"index": i, "embedding": vector(row, how.dim)} for i, row in enumerate(rows)]
            self._send(200, {"data": data[::-1]})  # the index tells the order
        else:
            self._send(404, {"error": "not here"})

    def _send(self, status: int, content: object) -> None:
        raw = self.server.behaviour.answer or json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *_: object) -> None:
        """Nothing is printed."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, behaviour: Behaviour) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.behaviour = behaviour
        self._lock = threading.Lock()
        self._at_once = 0
        self._free_at = 0.0

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that broke off is no news."""

    @contextmanager
    def counting(self) -> Iterator[None]:
        with self._lock:
            self._at_once += 1
            self.behaviour.most_at_once = max(self.behaviour.most_at_once, self._at_once)
        try:
            yield
        finally:
            with self._lock:
                self._at_once -= 1

    def work(self, rows: int) -> None:
        """Take the time an answer takes: the latency, and its turn where the server has a speed."""
        how = self.behaviour
        done = time.perf_counter()
        if how.rows_per_second:
            with self._lock:
                self._free_at = done = max(self._free_at, done) + rows / how.rows_per_second
        time.sleep(max(0.0, done + how.latency - time.perf_counter()))


@contextmanager
def serve(**behaviour: Any) -> Iterator[tuple[str, Behaviour]]:
    """A server on a free port for the time of a block: its address and its behaviour, which may be changed."""
    made = Behaviour(**behaviour)
    server = _Server(made)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", made
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--latency", type=float, default=0.0)
    parser.add_argument("--rows-per-second", type=float, default=0.0)
    parser.add_argument("--dim", type=int, default=DIM)
    args = parser.parse_args()
    server = _Server(Behaviour(latency=args.latency, rows_per_second=args.rows_per_second, dim=args.dim))
    print(server.server_address[1], flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
