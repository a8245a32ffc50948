"""PostgreSQL that fails over by Patroni: the policy, what the daemon makes of it, bounds, and who may lead."""
