"""A seeded simulation of a Patroni cluster in faults: the production rules of ``failover`` decide, promises judge."""
