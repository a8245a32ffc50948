"""The script that starts a node: what its file cannot say, because it differs between pods or is secret."""

from typing import TYPE_CHECKING

from aether_deploy.infrastructure.valkey.layout import host_of
from aether_deploy.infrastructure.valkey.options import NODES_FILE
from aether_deploy.pods.paths import CREDENTIALS_FOLDER

if TYPE_CHECKING:
    from aether_deploy.infrastructure.estate import Estate
    from aether_deploy.infrastructure.kinds.valkey import ValkeyConfig

CONFIG_FOLDER = "/etc/valkey"
CONFIG_FILE = "valkey.conf"
SCRIPT_FILE = "start.sh"
RUN_FOLDER = "/run/valkey"
PASSWORD_COPY = f"{RUN_FOLDER}/password"
"""The password that the node of this container was started with.

A Secret that is changed reaches the file of a running pod within minutes, its server only when it restarts. Who asks a
node from within its pod reads this.
"""

FOLDERS = (CONFIG_FOLDER, CREDENTIALS_FOLDER, RUN_FOLDER)
"""What the container sees besides its volume."""

POD_NAME, POD_IP, PAUSE = "POD_NAME", "POD_IP", "RETURN_PAUSE_SECS"
"""Variables that the script reads."""

PASSWORD = "password"
"""Key of the Secret, and so name of the file, that clients log in with."""


def password_file(config: "ValkeyConfig") -> str:
    return f"{CREDENTIALS_FOLDER}/{config.name}/{PASSWORD}"


def start_script(config: "ValkeyConfig", estate: "Estate") -> str:
    """Return the script, for ``sh``.

    The password reaches the server through its standard input: it stands in no ConfigMap, in no argument and in no
    variable. Valkey reads what stands there as further lines of its file (``server.c``); within double quotes a
    backslash and a double quote are special to it.
    """
    host = host_of(config, estate, f"${POD_NAME}")
    return f"""\
# Starts a node of {config.name}. Rendered by aether-deploy.
set -eu
if grep -q 'myself,master' "{config.pvc.mount_path}/{NODES_FILE}" 2>/dev/null; then
  # What this primary held went with its memory. Back at once it would be primary still, and its replica would
  # throw away the sessions to be as empty; so it lets the replica take over first.
  trap 'exit 0' TERM
  sleep "${PAUSE}" &
  wait $!
fi
# Others who ask this node need the password that it has, also once the Secret has another.
(umask 077; cat {password_file(config)} >{PASSWORD_COPY})
word=$(sed 's/[\\\\"]/\\\\&/g' {PASSWORD_COPY})
exec valkey-server {CONFIG_FOLDER}/{CONFIG_FILE} - <<END
requirepass "$word"
primaryauth "$word"
cluster-announce-ip ${POD_IP}
cluster-announce-hostname {host}
cluster-announce-human-nodename ${POD_NAME}
END
"""
