"""Programs that run in the cluster, from the tools image: each makes something exist, and may run again at any time."""
