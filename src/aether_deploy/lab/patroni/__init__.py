"""Real Patroni with real PostgreSQL on this machine: what a rendered configuration does when members fail."""
