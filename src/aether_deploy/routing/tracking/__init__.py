"""What is known of regions over time: probes, reports, orders; a state machine without a clock."""
