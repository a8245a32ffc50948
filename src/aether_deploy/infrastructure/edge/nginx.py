"""What nginx reads: the policy of an edge as its file.

A request passes two stages. The first looks at the path as nginx understands it, with ``..`` and ``%2e`` resolved, and
keeps answers. The second is one server for each origin, since origins differ in host, path and encryption: it puts the
bucket in front, and says how long an answer is kept. Sources: nginx documentation of ``ngx_http_proxy_module``,
``ngx_http_upstream_module`` and ``ngx_http_ssl_module``; what each setting is for was measured on 1.31.3.
"""

import re
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from aether_deploy.infrastructure.edge.nginx_pages import page_headers, page_maps, preflight
from aether_deploy.infrastructure.edge.policy import EdgeOrigin, EdgePolicy

OLDEST = (1, 27, 4)
"""The version that knows everything here: ``ssl_certificate_cache`` came last, ``server … resolve`` before it."""

STATUS_PATH = "/healthz"
READY_PATH = "/readyz"
KEYS_MB = 64
"""Memory for the names of what is kept: about half a million objects."""

CONNECT_SECS = 2
READ_SECS = 15
FAILED_SECS = 5
"""How long an origin that did not answer is left alone."""

YEAR_SECS = 31_536_000
CERTIFICATE_SECS = 600
"""How long a certificate is used before its file is read again."""

_STORES_OWN = (
    "Set-Cookie",
    "x-amz-id-2",
    "x-amz-request-id",
    "x-amz-version-id",
    "x-amz-storage-class",
    "x-amz-server-side-encryption",
    "x-amz-replication-status",
    "x-amz-expiration",
    "x-amz-tagging-count",
    "Seaweed-X-Amz-Owner",
    "Seaweed-X-Amz-ETag",
    "Access-Control-Allow-Origin",
    "Access-Control-Expose-Headers",
    "X-Cache",
)
"""What origins say of themselves, and of pages; behind a shield, where that had its answer from."""


class NginxPlace(msgspec.Struct, frozen=True, kw_only=True):
    """Where one edge runs.

    Attributes:
        listens: Address and port for ``http``, ``https`` and ``status``; without a certificate ``https`` is missing.
        stages: Address and port of each second stage, two for each origin: the origin itself, and what comes after.
        cache: Folder of what is kept.
        cache_mb: How much may be kept, MB.
        run: Folder for everything else that it writes.
        tls: Folder of the certificate.
        resolver: File that says who resolves names; None where all are known when it starts.
        trusted: File of the authorities whose certificates origins may have.
        workers: Processes that answer: as many as cores that they may use.
        certificate_secs: How long a certificate is used before its file is read again.
    """

    listens: Mapping[str, str]
    stages: Sequence[str]
    cache: str
    cache_mb: int
    run: str = "/tmp"
    tls: str = ""
    resolver: str | None = None
    trusted: str = "/etc/ssl/certs/ca-certificates.crt"
    workers: int = 1
    certificate_secs: int = CERTIFICATE_SECS


def stages_needed(policy: EdgePolicy) -> int:
    """Return how many addresses the second stage needs."""
    return 2 * len(policy.origins)


def needs_resolver(origin: EdgeOrigin) -> bool:
    """Return whether the origin's name is outside of the cluster: its address may change, and may be unknown now.

    A name inside is looked up once, when nginx starts, by the search list of the pod: nginx's own resolver has none.
    """
    host = origin.address.host
    return "." in host and not host.endswith(".svc") and not re.fullmatch(r"[0-9.]+", host)


def nginx_text(policy: EdgePolicy, place: NginxPlace) -> str:
    """Return the file of one edge. Equal input gives equal text."""
    lines = [
        f"worker_processes {place.workers};",
        "worker_rlimit_nofile 16384;",
        f"pid {place.run}/nginx.pid;",
        "error_log /dev/stderr warn;",
        "events {",
        "  worker_connections 4096;",
        "}",
        "http {",
        *(f"  {line}" for line in _http(policy, place)),
        "}",
    ]
    return "\n".join(lines) + "\n"


def _http(policy: EdgePolicy, place: NginxPlace) -> Iterator[str]:
    kept = max((each.ttl_secs + max(each.swr_secs, each.sie_secs) for each in policy.classes), default=0)
    yield "server_tokens off;"
    yield "default_type application/octet-stream;"
    yield "log_format edge '$remote_addr $request_method $request_uri $status $body_bytes_sent $upstream_cache_status '"
    yield "  '$request_time $upstream_response_time';"
    yield "access_log off;"
    for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"):
        yield f"{name}_temp_path {place.run}/{name};"
    if place.resolver is not None:
        yield f"include {place.resolver};"
    # Without 'inactive' of that length what may be answered stale is thrown away after ten minutes.
    yield (
        f"proxy_cache_path {place.cache} levels=1:2 keys_zone=objects:{KEYS_MB}m max_size={place.cache_mb}m "
        f"inactive={min(max(kept, 600), YEAR_SECS)}s use_temp_path=off;"
    )
    # What a slow reader has not taken yet would fill the node's disk; what is kept is written all the same.
    yield "proxy_max_temp_file_size 0;"
    yield "proxy_http_version 1.1;"
    yield f"proxy_connect_timeout {CONNECT_SECS}s;"
    yield f"proxy_read_timeout {READ_SECS}s;"
    yield from _maps(policy)
    yield from page_maps(policy.pages)
    yield from _chain(policy, place)
    yield from _front(policy, place)
    yield from _status(place)
    for at, origin in enumerate(policy.origins):
        yield from _origin(origin, at, place)


def _maps(policy: EdgePolicy) -> Iterator[str]:
    yield "map $uri $aether_control {"
    yield "  default '';"
    for each in policy.classes:
        yield f"  '~^{re.escape(each.match)}' '{each.cache_control}';"
    yield "}"
    yield "map $uri $aether_unkept {"
    yield "  default 1;"
    for each in policy.classes:
        yield f"  '~^{re.escape(each.match)}' {0 if each.ttl_secs else 1};"
    yield "}"


def _chain(policy: EdgePolicy, place: NginxPlace) -> Iterator[str]:
    """Yield the order of origins: several spares of one list would be taken in turn, not the nearest first."""
    last = len(policy.origins) - 1
    for at in range(len(policy.origins)):
        yield f"upstream from_{at} {{"
        yield f"  server {place.stages[2 * at]} max_fails=1 fail_timeout={FAILED_SECS}s;"
        if at == last - 1:
            yield f"  server {place.stages[2 * last]} backup;"
        elif at < last:
            yield f"  server {place.stages[2 * at + 1]} backup;"
        yield "  keepalive 16;"
        yield "}"
    for at in range(1, last):
        yield "server {"
        yield f"  listen {place.stages[2 * at - 1]};"
        yield "  location / {"
        yield f"    proxy_pass http://from_{at};"
        yield f"    proxy_read_timeout {_patience_secs(policy, at)}s;"
        yield "    proxy_set_header Connection '';"
        yield f"    proxy_next_upstream {_NEXT};"
        yield "  }"
        yield "}"


def _patience_secs(policy: EdgePolicy, at: int) -> int:
    """Return how long what asks ``from_<at>`` waits for an answer: for as long as the origins behind may keep silent.

    As long as one of them alone it would give up when that does, and the last would never be asked.
    """
    behind = max(1, len(policy.origins) - at - 1)
    return behind * (CONNECT_SECS + READ_SECS) + 1


# An object that a region has not copied yet is fetched from one that has it.
_NEXT = "error timeout http_500 http_502 http_503 http_504 http_404"


def _front(policy: EdgePolicy, place: NginxPlace) -> Iterator[str]:
    if "https" in place.listens:
        # With a variable in its name a certificate is read when it is used, so that a renewed one is taken.
        yield "map '' $aether_tls {"
        yield f"  default {place.tls};"
        yield "}"
    yield "server {"
    yield f"  listen {place.listens['http']};"
    if "https" in place.listens:
        yield f"  listen {place.listens['https']} ssl;"
        yield "  ssl_certificate $aether_tls/tls.crt;"
        yield "  ssl_certificate_key $aether_tls/tls.key;"
        yield f"  ssl_certificate_cache max=4 valid={place.certificate_secs}s inactive={place.certificate_secs}s;"
        yield "  ssl_protocols TLSv1.2 TLSv1.3;"
    yield f"  server_name {policy.hostname};"
    yield "  access_log /dev/stdout edge;"
    yield "  absolute_redirect off;"
    yield "  client_max_body_size 1k;"
    yield "  max_ranges 8;"
    yield "  if ($aether_refused) {"
    yield "    return 405;"
    yield "  }"
    yield "  location / {"
    yield "    return 404;"
    yield "  }"
    for prefix in policy.open_prefixes:
        # Else it would be led to the same with a slash, which is not there either.
        yield f"  location = {prefix.rstrip('/')} {{"
        yield "    return 404;"
        yield "  }"
        yield from (f"  {line}" for line in _open(prefix, policy))
    yield "}"


def _open(prefix: str, policy: EdgePolicy) -> Iterator[str]:
    yield f"location ^~ {prefix} {{"
    # A store may answer for a folder.
    yield "  if ($uri ~ /$) {"
    yield "    return 404;"
    yield "  }"
    yield from (f"  {line}" for line in (preflight() if policy.pages else ()))
    yield "  set $args '';"
    # With a path here nginx sends the path that it matched, not the one that it was sent: '..' and '%2e' are gone.
    yield f"  proxy_pass http://from_0{prefix};"
    yield f"  proxy_read_timeout {_patience_secs(policy, 0)}s;"
    yield "  proxy_pass_request_headers off;"
    yield "  proxy_pass_request_body off;"
    yield "  proxy_set_header Connection '';"
    yield f"  proxy_next_upstream {_NEXT};"
    yield "  proxy_cache objects;"
    yield "  proxy_cache_key $uri;"
    # The lock below would let those who ask for an object that is not kept wait for each other, one after the other.
    yield "  proxy_cache_bypass $aether_unkept;"
    yield "  proxy_no_cache $aether_unkept;"
    yield f"  proxy_cache_valid 404 {policy.not_found_secs}s;"
    yield "  proxy_cache_lock on;"
    yield "  proxy_cache_lock_age 30s;"
    yield "  proxy_cache_lock_timeout 30s;"
    yield "  proxy_cache_background_update on;"
    yield "  proxy_cache_revalidate on;"
    # The key says all that answers differ by.
    yield "  proxy_ignore_headers Vary Set-Cookie Expires;"
    yield "  add_header X-Cache $upstream_cache_status always;"
    yield from (f"  {line}" for line in (page_headers() if policy.pages else ()))
    yield "}"


def _status(place: NginxPlace) -> Iterator[str]:
    yield "server {"
    yield f"  listen {place.listens['status']};"
    for path in (STATUS_PATH, READY_PATH):
        yield f"  location = {path} {{"
        yield "    return 200 'ok\\n';"
        yield "  }"
    yield "  location / {"
    yield "    return 404;"
    yield "  }"
    yield "}"


def _origin(origin: EdgeOrigin, at: int, place: NginxPlace) -> Iterator[str]:
    address = origin.address
    yield f"upstream origin_{at} {{"
    if needs_resolver(origin):
        yield f"  zone origin_{at} 64k;"
        yield f"  server {address.host}:{address.port} resolve;"
    else:
        yield f"  server {address.host}:{address.port};"
    yield "  keepalive 16;"
    yield "}"
    yield "server {"
    yield f"  listen {place.stages[2 * at]};"
    yield "  location / {"
    # What comes here was cleaned by the first stage, so it is passed on as it is.
    yield f"    proxy_pass {address.scheme}://origin_{at}{origin.path}$request_uri;"
    yield f"    proxy_set_header Host {_host_header(origin)};"
    yield "    proxy_set_header Connection '';"
    # A name may have many addresses: one that keeps silent is enough to know.
    yield f"    proxy_next_upstream_timeout {READ_SECS}s;"
    if address.scheme == "https":
        yield "    proxy_ssl_server_name on;"
        yield f"    proxy_ssl_name {origin.certified_as or address.host};"
        yield "    proxy_ssl_verify on;"
        yield "    proxy_ssl_verify_depth 3;"
        yield f"    proxy_ssl_trusted_certificate {place.trusted};"
    # The answers of a store name its buckets, and it says 403 of what is not there.
    yield "    proxy_intercept_errors on;"
    yield "    error_page 400 403 404 =404 @missing;"
    yield "    error_page 500 501 502 503 504 =502 @failing;"
    for header in ("Cache-Control", *_STORES_OWN):
        yield f"    proxy_hide_header {header};"
    yield "    add_header Cache-Control $aether_control;"
    yield "  }"
    for name, status in (("missing", 404), ("failing", 502)):
        yield f"  location @{name} {{"
        yield f"    return {status};"
        yield "  }"
    yield "}"


def _host_header(origin: EdgeOrigin) -> str:
    address = origin.address
    if origin.certified_as:
        return origin.certified_as
    implied = {"http": 80, "https": 443}[address.scheme]
    return address.host if address.port == implied else f"{address.host}:{address.port}"


def resolver_script(file: str) -> str:
    """Return the shell script that writes down who resolves names in this pod: nginx does not look itself."""
    return (
        'awk \'$1 == "nameserver" { all = all " " ($2 ~ /:/ ? "[" $2 "]" : $2) } '
        f'END {{ print "resolver" all " valid=30s;" }}\' /etc/resolv.conf > {file}'
    )
