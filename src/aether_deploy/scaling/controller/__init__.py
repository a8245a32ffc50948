"""A model of the HorizontalPodAutoscaler controller: what it does at each sync, and why."""
