"""Where containers of ours see what they are given."""

CREDENTIALS_FOLDER = "/run/aether/secrets"
"""What a pod logs in with: a folder for each component, or for each user."""

TLS_FOLDER = "/run/aether/tls"
"""The certificates of a server of ours."""
