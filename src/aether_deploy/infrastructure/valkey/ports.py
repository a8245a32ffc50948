"""Ports of a node."""

from aether_deploy.infrastructure.component import Port

CLIENT: Port = ("valkey", 6379, "TCP")
BUS: Port = ("bus", 16379, "TCP")
"""What nodes tell each other on; a node derives the number from that of its clients, by adding 10000."""
