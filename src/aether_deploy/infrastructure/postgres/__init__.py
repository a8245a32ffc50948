"""PostgreSQL clusters: their settings, Patroni's configuration for them, and one back end for each way to run them."""
