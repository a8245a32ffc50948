"""The script that Patroni runs once, on a primary that has just been made: it makes the first user and database."""

from typing import TYPE_CHECKING

from aether_deploy.infrastructure.postgres.containers import LOGIN_FOLDER

if TYPE_CHECKING:
    from aether_deploy.infrastructure.kinds.postgres import PostgresConfig

# What is logged must not hold the password; psql reads files, so that no process shows it either.
_SCRIPT = """\
#!/bin/sh
# Patroni runs this once, when a new cluster has been made; $1 is how the superuser connects to it.
set -eu
{spilo}psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --dbname="$1" <<'SQL'
\\set username `cat {folder}/username`
\\set password `cat {folder}/password`
SET log_statement = 'none';
SET log_min_error_statement = 'panic';
SET log_min_duration_statement = -1;
SET password_encryption = 'scram-sha-256';
SELECT format('CREATE ROLE %I LOGIN PASSWORD %L', :'username', :'password') \\gexec
SELECT format('CREATE DATABASE %I OWNER %I', '{database}', :'username') \\gexec
SQL
"""
_SPILOS_OWN = '/scripts/post_init.sh zalandos "$1"\n'


def first_user_script(config: "PostgresConfig") -> str:
    """Return the script; the names in the Secret may be any that PostgreSQL takes."""
    spilo = _SPILOS_OWN if config.image_kind == "spilo" else ""
    return _SCRIPT.format(spilo=spilo, folder=LOGIN_FOLDER, database=config.database)
