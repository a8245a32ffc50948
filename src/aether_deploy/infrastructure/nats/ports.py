"""Ports of a server, and the name of the servers' own account."""

from aether_deploy.infrastructure.component import Port

CLIENT: Port = ("client", 4222, "TCP")
ROUTES: Port = ("cluster", 6222, "TCP")
GATEWAY: Port = ("gateway", 7222, "TCP")
LEAFNODE: Port = ("leafnode", 7422, "TCP")
MONITOR: Port = ("monitor", 8222, "TCP")
METRICS: Port = ("metrics", 7777, "TCP")

SYSTEM_ACCOUNT = "SYS"
