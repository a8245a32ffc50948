"""The ports of an edge: no process of ours listens below 1024, its Service does."""

from aether_deploy.infrastructure.component import Port

HTTP: Port = ("http", 8080, "TCP")
HTTPS: Port = ("https", 8443, "TCP")
STATUS: Port = ("status", 8081, "TCP")
OUTSIDE_HTTP = 80
OUTSIDE_HTTPS = 443
