"""Where pods may run: spread over zones and hosts, near the services they talk to."""
