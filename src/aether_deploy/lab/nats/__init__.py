"""Real NATS superclusters on this machine, from the configuration that is rendered for Kubernetes."""
