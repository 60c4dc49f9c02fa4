"""Checks the signature, version 4, that every request to the queues bears."""

from __future__ import annotations

import hashlib
import hmac
import re
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

from .http import Request

KEY_ID = "sandbox-queue-key"
SECRET = "sandbox-queue-secret"  # noqa: S105 (the demo's public sandbox secret, opens nothing else)
_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key>[^/]+)/(?P<date>\d{8})/(?P<region>[a-z0-9-]+)/(?P<service>[a-z]+)"
    r"/aws4_request, ?SignedHeaders=(?P<headers>[a-z0-9;-]+), ?Signature=(?P<signature>[0-9a-f]{64})"
)
_SKEW = timedelta(minutes=15)


def problem(request: Request) -> tuple[str, str] | None:
    """(code, message) of what is wrong with a request's signature; None when nothing is."""
    found = _AUTHORIZATION.fullmatch(request.headers.get("authorization", ""))
    moment = request.headers.get("x-amz-date", "")
    if found is None:
        return "MissingAuthenticationToken", "Request is missing Authentication Token"
    if found["key"] != KEY_ID:
        return "InvalidClientTokenId", "The security token included in the request is invalid."
    try:
        sent = datetime.strptime(moment, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return "IncompleteSignature", "Date must be in ISO-8601 'basic format'."
    if abs(datetime.now(UTC) - sent) > _SKEW:
        return "SignatureDoesNotMatch", "Signature expired."
    names = found["headers"].split(";")
    headers = "".join(f"{name}:{' '.join(request.headers.get(name, '').split())}\n" for name in names)
    query = "&".join(f"{quote(k, safe='-_.~')}={quote(v, safe='-_.~')}" for k, v in sorted(request.query))
    payload = hashlib.sha256(request.body).hexdigest()
    canonical = "\n".join(
        [request.method, quote(request.path, safe="/-_.~"), query, headers, found["headers"], payload]
    )
    scope = f"{found['date']}/{found['region']}/{found['service']}/aws4_request"
    told = "\n".join(["AWS4-HMAC-SHA256", moment, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = f"AWS4{SECRET}".encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    if not hmac.compare_digest(hmac.new(key, told.encode(), hashlib.sha256).hexdigest(), found["signature"]):
        return "SignatureDoesNotMatch", "The request signature we calculated does not match the signature you provided."
    return None
