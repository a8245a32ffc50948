"""What a lab consists of: each component, and each workload that players meet."""
