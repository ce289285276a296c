"""The public API as the demo uses it: plain JSON over HTTP, nothing of ours."""

import http.client
import json
import time
from collections.abc import Mapping
from typing import Any

import urllib3
from urllib3.exceptions import HTTPError


class ApiError(Exception):
    """The API refused, in its own words. `status`: the HTTP status, or None without an answer."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class NoAnswerError(ApiError):
    """The API could not be reached, or hung up."""


class Api:
    """A client of `/v2/lbaas`. `headers`: sent with every request."""

    def __init__(self, address: str, port: int, headers: Mapping[str, str] | None = None) -> None:
        self._headers = {"Content-Type": "application/json", **(headers or {})}
        self._pool = urllib3.HTTPConnectionPool(address, port, maxsize=4, timeout=30.0, retries=False)

    def get(self, path: str, *, branch: str = "lbaas") -> dict[str, Any]:
        return self._call("GET", path, branch=branch)

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        return self._call("POST", path, body)

    def put(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        return self._call("PUT", path, body)

    def delete(self, path: str) -> None:
        self._call("DELETE", path)

    def wait_active(self, load_balancer_id: str, *, seconds: float = 60.0) -> dict[str, Any]:
        """Wait until the load balancer is ACTIVE. Raises ApiError when it is ERROR, or time is up."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            found: dict[str, Any] = self.get(f"/loadbalancers/{load_balancer_id}")["loadbalancer"]
            if found["provisioning_status"] == "ACTIVE":
                return found
            if found["provisioning_status"] == "ERROR":
                raise ApiError(self._last_event(load_balancer_id))
            time.sleep(0.01)
        raise ApiError(f"{load_balancer_id} is not ACTIVE after {seconds:.0f} s: {self._last_event(load_balancer_id)}")

    def wait_gone(self, load_balancer_id: str, *, seconds: float = 60.0) -> None:
        """Wait until the load balancer is not found any more."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                self.get(f"/loadbalancers/{load_balancer_id}")
            except ApiError as error:
                if error.status == http.client.NOT_FOUND:
                    return
                raise
            time.sleep(0.02)
        raise ApiError(f"{load_balancer_id} is not gone after {seconds:.0f} s.")

    def _last_event(self, load_balancer_id: str) -> str:
        events = self.get(f"/loadbalancers/{load_balancer_id}/events?sort=id:desc&limit=1")["events"]
        return str(events[0]["message"]) if events else "no reason was recorded"

    def _call(
        self, method: str, path: str, body: dict[str, Any] | None = None, *, branch: str = "lbaas"
    ) -> dict[str, Any]:
        try:
            answer = self._pool.request(
                method,
                f"/v2/{branch}{path}",
                body=None if body is None else json.dumps(body),
                headers=self._headers,
            )
        except HTTPError as error:
            raise NoAnswerError(f"{method} {path}: the API does not answer: {error}") from error
        if answer.status >= 400:
            raise ApiError(f"{method} {path}: {answer.status} {_fault(answer.data)}", answer.status)
        decoded: dict[str, Any] = json.loads(answer.data) if answer.data else {}
        return decoded


def _fault(body: bytes) -> str:
    try:
        return str(json.loads(body)["faultstring"])
    except (ValueError, KeyError, TypeError):
        return body.decode(errors="replace")
