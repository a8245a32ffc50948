"""A change is told apart: taken while a server runs, or when it restarts; and only the latter is in the checksum."""

from typing import Any

import pytest

from aether_deploy.infrastructure.nats.options import options_of
from aether_deploy.infrastructure.nats.reloading import changes_of, reload_class, restart_part
from aether_deploy.infrastructure.nats.rendering import checksum_of, server_options
from aether_deploy.infrastructure.nats.text import Variable, text_of, variables_in
from aether_deploy.infrastructure.nats.wiring import Login, Wiring
from tests.nats_cases import MATCHES, THREE, nats, place
from tests.nats_reloads import CHANGES, changed

RELOADER = {"reloader": {"image": "natsio/nats-server-config-reloader:0.23.0"}}


def options() -> dict[str, Any]:
    wiring = Wiring(
        server_name="events-us-a-0",
        listens=dict.fromkeys(("client", "cluster", "gateway", "leafnode", "monitor"), "127.0.0.1:1"),
        routes=("127.0.0.1:2",),
        gateways={"us": ("127.0.0.1:3",), "eu": ("127.0.0.1:4",)},
        gateway_advertise="127.0.0.1:3",
        store_dir="/data",
        logins={"operators": Login("o", "p"), "app": Login("a", "b")},
    )
    return options_of(nats(leafnodes={}), cluster="us", tags=("region:us", "zone:us-a"), wiring=wiring)


@pytest.mark.parametrize("path, change, expected", CHANGES.values(), ids=CHANGES.keys())
def test_each_change_has_its_class(path: str, change: Any, expected: str) -> None:
    before = options()
    after = changed(before, path, change)

    assert reload_class(before, after) == expected
    assert reload_class(text_of(before), text_of(after)) == expected


@pytest.mark.parametrize("path, change, expected", CHANGES.values(), ids=CHANGES.keys())
def test_what_needs_a_restart_is_in_the_part_that_restarts(path: str, change: Any, expected: str) -> None:
    before = options()
    after = changed(before, path, change)
    shrunk = expected == "restart" and path in ("jetstream.max_file_store", "jetstream.max_memory_store")
    elsewhere = bool(variables_in(after) - variables_in(before))  # the template of the pods changes with them

    assert (restart_part(before) != restart_part(after)) is (expected != "reload" and not shrunk and not elsewhere)


def test_a_user_whose_variables_are_known_is_taken_while_it_runs() -> None:
    bob = {"user": Variable("NATS_USERNAME_BOB"), "password": Variable("NATS_PASSWORD_BOB")}
    with_bob = changed(options(), "accounts.APP.users", lambda found: [*found, bob])
    narrower = changed(with_bob, "accounts.APP.users", lambda found: [found[0], {**bob, "permissions": {}}])

    assert reload_class(options(), with_bob) == "restart"
    assert reload_class(with_bob, narrower) == "reload"
    assert reload_class(with_bob, options()) == "reload"
    assert changes_of(text_of(options()), text_of(with_bob)) == {"accounts": "restart"}


@pytest.mark.parametrize("path", ["tls", "cluster.tls"])
def test_certificates_come_with_a_new_pod_and_go_while_it_runs(path: str) -> None:
    without = changed(options(), *CHANGES[f"{'routes' if '.' in path else 'clients'} come without certificates"][:2])

    assert changes_of(without, options()) == {path: "restart"}
    assert changes_of(options(), without) == {path: "reload"}


def test_equal_files_need_nothing() -> None:
    assert reload_class(options(), text_of(options())) == "none"


def test_one_change_that_needs_a_restart_holds_up_all_others() -> None:
    both = changed(changed(options(), *CHANGES["tags change"][:2]), *CHANGES["a region comes"][:2])

    assert reload_class(options(), both) == "restart"
    assert changes_of(options(), both) == {"server_tags": "reload", "gateway.gateways": "restart"}


def test_a_cluster_of_another_name_is_refused() -> None:
    other = changed(changed(options(), "cluster.name", lambda _: "sa"), "gateway.name", lambda _: "sa")

    assert reload_class(options(), other) == "refused"


# --- the checksum of the pods


def both_checksums(**settings: Any) -> tuple[str, str]:
    at, datacenter = place(), THREE.region("us").full[0]  # type: ignore[union-attr]
    plain, other = nats(**{**RELOADER, **settings.pop("base", {})}), nats(**{**RELOADER, **settings})
    return tuple(checksum_of(each, server_options(each, at, datacenter)) for each in (plain, other))  # type: ignore[return-value]


def test_with_a_reloader_only_a_restart_changes_the_checksum() -> None:
    users = [{"name": "APP", "users": [{"name": "app"}, {"name": "ops", "secret": "events-ops"}]}]
    accounts, payload, size = both_checksums(accounts=users), both_checksums(max_payload="2Mi"), both_checksums(
        pvc={"size": "80Gi"}
    )  # fmt: skip

    assert all(before == after for before, after in (accounts, payload, size))
    before, after = both_checksums(gateway={"endpoint": "{pod}.example.org"})
    # The address that others dial is in the environment; what a server dials is in its file.
    assert before != after


def test_without_a_reloader_every_change_restarts() -> None:
    before, after = both_checksums(base={"reloader": "none"}, reloader="none", max_payload="2Mi")

    assert before != after


def test_streams_restart_no_server() -> None:
    at, datacenter = place(), THREE.region("us").full[0]  # type: ignore[union-attr]
    without, some = nats(), nats(MATCHES)

    assert server_options(without, at, datacenter) == server_options(some, at, datacenter)
