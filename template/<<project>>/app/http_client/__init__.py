"""Asks other services, with one pooled client that waits for nobody for long."""

from app.http_client.call import Answer as Answer
from app.http_client.call import Call as Call
from app.http_client.call import Hook as Hook
from app.http_client.client import HttpClient as HttpClient
from app.http_client.errors import NoAnswer as NoAnswer
from app.http_client.settings import HttpClientSettings as HttpClientSettings
from app.http_client.upstream import Upstream as Upstream
from app.pattern import Pattern

pattern = Pattern(
    name="http_client",
    settings=HttpClientSettings,
    resources=lambda service: [HttpClient(service.settings(HttpClientSettings))],
)
