"""Shell functions of a runbook: they find a member that answers, since the first one may be the lost one."""

_FUNCTIONS = """\
Commands use `kubectl` with a context for each cluster, named as it is. Paste these functions first. They take the first
member that answers, whichever is lost:

```sh
member() {{  # member CLUSTER PODS
  for pod in $(kubectl --context "$1" -n {namespace} get pod -l "$2" -o name); do
    kubectl --context "$1" -n {namespace} exec "$pod" -c postgres -- true 2>/dev/null && echo "$pod" && return
  done
  echo "no pod with $2 answers in $1" >&2
  return 1
}}
on() {{  # on CLUSTER PODS COMMAND ...
  cluster=$1 pods=$2
  shift 2
  pod=$(member "$cluster" "$pods") && kubectl --context "$cluster" -n {namespace} exec "$pod" -c postgres -- "$@"
}}
sql() {{  # sql CLUSTER PODS DATABASE < SQL
  pod=$(member "$1" "$2") && kubectl --context "$1" -n {namespace} exec -i "$pod" -c postgres -- \\
    psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --username=postgres --dbname="$3"
}}
```
"""


def functions(namespace: str) -> str:
    """Return the functions ``member``, ``on`` and ``sql``, for pods in a namespace, with what they are."""
    return _FUNCTIONS.format(namespace=namespace)
