"""One typed description of game worlds becomes a tree of Kubernetes manifests."""
