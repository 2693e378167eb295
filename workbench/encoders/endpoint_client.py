"""Asking an embedding server over HTTP: OpenAI's API, or Hugging Face's text-embeddings-inference.

Standard library only, one kept-alive connection per thread. What passes by itself (a server that is busy, starts
again, or drops a connection) is tried again with growing pauses; anything else ends with one line that says why.
"""

from __future__ import annotations

import json
import os
import random
import socket
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPSConnection, RemoteDisconnected
from urllib.parse import SplitResult, urlsplit
from urllib.request import getproxies, proxy_bypass

import numpy as np
from numpy.typing import NDArray

from workbench.core.errors import RunFailed, UsageError
from workbench.encoders import endpoint_wire as wire
from workbench.encoders.endpoint import Endpoint

#: Answers that a later try may not get: busy (429), a gateway or server in trouble; 424 is how
#: text-embeddings-inference says that its backend failed.
_PASSING = frozenset({408, 424, 425, 429, 500, 502, 503, 504, 529})
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0  # seconds; doubled from try to try


class _Again(Exception):
    """Not now: `reason` for people, `wish` seconds that the server asks to wait."""

    def __init__(self, reason: str, wish: float = 0.0) -> None:
        super().__init__(reason)
        self.reason, self.wish = reason, wish


class EndpointClient:
    """Asks one endpoint, from any number of threads.

    Raises UsageError (when made) if the environment variable with the API key is not set.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._parts = urlsplit(endpoint.url)
        self._headers = {"Content-Type": "application/json", "Accept": "application/json", **_key(endpoint)}
        self._own = threading.local()
        self._lock = threading.Lock()
        self._open: set[HTTPConnection] = set()
        self._closed = threading.Event()

    def vectors(self, inputs: Sequence[str] | Sequence[Sequence[int]]) -> NDArray[np.float32]:
        """float32 [inputs, dim as served], in the order of the inputs (texts, or token ids of each).

        Raises:
            RunFailed: the server refuses, does not answer after all tries, or answers nonsense.
        """
        body = json.dumps(wire.question(self._endpoint, inputs), ensure_ascii=False).encode("utf-8", "replace")
        raw = self._patiently("POST", self._target(self._parts.path), body)
        return wire.vectors(self._endpoint, raw, len(inputs))

    def served_model(self) -> str:
        """What text-embeddings-inference says it serves: `model id@revision`. Raises RunFailed."""
        path = self._parts.path.removesuffix("/embed") + "/info"
        raw = self._patiently("GET", self._target(path), b"")
        try:
            info = json.loads(raw)
            return f"{info['model_id']}@{info['model_sha']}" if info.get("model_sha") else str(info["model_id"])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise RunFailed("does not say which model it serves", where=self._endpoint.url,
                            remedy="Name it in encoder.endpoint_model") from error

    def close(self) -> None:
        """End all requests now."""
        self._closed.set()
        with self._lock:
            for connection in self._open:
                if connection.sock is not None:
                    with suppress(OSError):  # gone already
                        connection.sock.shutdown(socket.SHUT_RDWR)

    def _target(self, path: str) -> str:
        return f"{path}?{self._parts.query}" if self._parts.query else path

    def _patiently(self, method: str, target: str, body: bytes) -> bytes:
        tries = self._endpoint.retries + 1
        for number in range(tries):
            try:
                return self._exchange(method, target, body)
            except _Again as again:
                reason = again.reason
                pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0**number) * random.uniform(0.75, 1.25)
                if number + 1 == tries or self._closed.wait(max(pause, again.wish)):
                    break
        raise RunFailed(f"no answer in {tries} tries ({reason})", where=self._endpoint.url,
                        remedy="Check that the server runs; then the same command resumes")

    def _exchange(self, method: str, target: str, body: bytes) -> bytes:
        """One request. A server may have closed the kept connection meanwhile: then a new one is opened at once."""
        reused = getattr(self._own, "connection", None) is not None
        try:
            status, headers, raw = self._ask(method, target, body)
        except (HTTPException, OSError) as error:
            self._drop()
            if not reused or not isinstance(error, (RemoteDisconnected, ConnectionError)):
                raise _Again(_words(error, self._endpoint)) from error
            try:
                status, headers, raw = self._ask(method, target, body)
            except (HTTPException, OSError) as second:
                self._drop()
                raise _Again(_words(second, self._endpoint)) from second
        if 200 <= status < 300:
            return raw
        if status in _PASSING:
            raise _Again(f"HTTP {status}", wire.wish(headers))
        raise wire.refused(self._endpoint, status, headers, raw)

    def _ask(self, method: str, target: str, body: bytes) -> tuple[int, Mapping[str, str], bytes]:
        connection: HTTPConnection | None = getattr(self._own, "connection", None)
        if connection is None:
            connection = self._own.connection = _connection(self._parts, self._endpoint.seconds)
            with self._lock:
                self._open.add(connection)
        connection.request(method, target, body or None, self._headers)
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()

    def _drop(self) -> None:
        connection: HTTPConnection | None = getattr(self._own, "connection", None)
        if connection is not None:
            self._own.connection = None
            with self._lock:
                self._open.discard(connection)
            connection.close()


def _connection(parts: SplitResult, seconds: float) -> HTTPConnection:
    """A connection, through the proxy that the system names for https."""
    host = parts.hostname or ""
    if parts.scheme == "http":
        return HTTPConnection(host, parts.port, timeout=seconds)
    proxy = urlsplit(getproxies().get("https", ""))
    if not proxy.hostname or proxy_bypass(host):
        return HTTPSConnection(host, parts.port, timeout=seconds)
    connection = HTTPSConnection(proxy.hostname, proxy.port, timeout=seconds)
    connection.set_tunnel(host, parts.port or 443)
    return connection


def _key(endpoint: Endpoint) -> dict[str, str]:
    if not endpoint.key_variable:
        return {}
    key = os.environ.get(endpoint.key_variable, "").strip()
    if not key or not key.isascii() or not key.isprintable():
        raise UsageError("holds no API key", where=f"environment variable {endpoint.key_variable}",
                         remedy="Set it to the key, or empty encoder.key_variable")
    return {"Authorization": f"Bearer {key}"}


def _words(error: Exception, endpoint: Endpoint) -> str:
    if isinstance(error, TimeoutError):
        return f"nothing came within {endpoint.seconds:g} s"
    return str(error) or type(error).__name__
