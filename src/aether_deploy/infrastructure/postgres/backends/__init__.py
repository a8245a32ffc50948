"""Ways to run a PostgreSQL cluster."""
