"""The ports of a store that runs here; each service of SeaweedFS has one for HTTP and one for gRPC."""

from aether_deploy.infrastructure.component import Port

S3: Port = ("s3", 8333, "TCP")
S3_GRPC: Port = ("s3-grpc", 18333, "TCP")
MASTER: Port = ("master", 9333, "TCP")
MASTER_GRPC: Port = ("master-grpc", 19333, "TCP")
VOLUME: Port = ("volume", 8080, "TCP")
VOLUME_GRPC: Port = ("volume-grpc", 18080, "TCP")
FILER: Port = ("filer", 8888, "TCP")
FILER_GRPC: Port = ("filer-grpc", 18888, "TCP")
METRICS: Port = ("metrics", 9327, "TCP")

ALL: tuple[Port, ...] = (S3, S3_GRPC, MASTER, MASTER_GRPC, VOLUME, VOLUME_GRPC, FILER, FILER_GRPC, METRICS)
EXPOSABLE: tuple[Port, ...] = (S3, FILER, FILER_GRPC)
"""What other regions may call: clients S3, a store that follows this one the other two."""
FOLLOWED: tuple[str, ...] = (FILER[0], FILER_GRPC[0])
"""What a store in another region needs to follow this one."""
