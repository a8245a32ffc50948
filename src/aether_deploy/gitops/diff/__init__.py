"""Two states of a tree compared: not what text differs, but what the difference does to a cluster."""
