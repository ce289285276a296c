"""What the worker reads of TLS: as it was stored, on each database."""

from typing import Any

import pytest
from sqlalchemy import insert, select, update

from livia.core.model.listener import ClientAuthentication, Listener
from livia.core.model.pool import Pool
from livia.store import tables as t
from livia.store import trees
from livia.store.engine import Database
from tests.database import put_load_balancer


@pytest.fixture
def database(any_database: Database) -> Database:
    return any_database


def read(database: Database, key: str) -> tuple[Listener, Pool]:
    with database.read() as connection:
        tree = trees.load(connection, key)
    assert tree is not None
    return tree.listeners[0], tree.pools[0]


def write(database: Database, listener: dict[str, Any], pool: dict[str, Any], sni: tuple[str, ...]) -> None:
    with database.write() as connection:
        connection.execute(update(t.listener).values(**listener))
        connection.execute(update(t.pool).values(**pool))
        listener_id = connection.execute(select(t.listener.c.id)).scalar_one()
        for position, reference in enumerate(sni):
            row = {"listener_id": listener_id, "tls_container_id": reference, "position": position}
            connection.execute(insert(t.sni).values(row))


def test_without_tls_attributes_there_are_none(database: Database) -> None:
    key = put_load_balancer(database)
    listener, pool = read(database, key)
    assert (listener.default_tls_container_ref, listener.sni_container_refs, listener.tls_versions) == (None, (), ())
    assert listener.client_authentication is ClientAuthentication.NONE
    assert (listener.hsts_max_age, listener.hsts_include_subdomains, listener.hsts_preload) == (None, False, False)
    assert (pool.tls_enabled, pool.tls_container_ref, pool.tls_ciphers, pool.alpn_protocols) == (False, None, None, ())


def test_tls_attributes_are_read_as_stored(database: Database) -> None:
    key = put_load_balancer(database)
    write(
        database,
        {
            "tls_certificate_id": "default",
            "client_authentication": "OPTIONAL",
            "client_ca_tls_certificate_id": "ca",
            "client_crl_container_id": "crl",
            "tls_ciphers": "A:B",
            "tls_versions": "TLSv1.2,TLSv1.3",
            "alpn_protocols": "h2,http/1.1",
            "hsts_max_age": 7,
            "hsts_include_subdomains": True,
            "hsts_preload": True,
        },
        {
            "tls_enabled": True,
            "tls_certificate_id": "own",
            "ca_tls_certificate_id": "members",
            "crl_container_id": "revoked",
            "tls_ciphers": "C",
            "tls_versions": "TLSv1.3",
            "alpn_protocols": "h2",
        },
        ("z", "a", "m"),
    )
    listener, pool = read(database, key)
    assert (listener.default_tls_container_ref, listener.sni_container_refs) == ("default", ("z", "a", "m"))
    assert listener.client_authentication is ClientAuthentication.OPTIONAL
    assert (listener.client_ca_tls_container_ref, listener.client_crl_container_ref) == ("ca", "crl")
    assert (listener.tls_ciphers, listener.tls_versions) == ("A:B", ("TLSv1.2", "TLSv1.3"))
    assert listener.alpn_protocols == ("h2", "http/1.1")
    assert (listener.hsts_max_age, listener.hsts_include_subdomains, listener.hsts_preload) == (7, True, True)
    assert (pool.tls_enabled, pool.tls_container_ref) == (True, "own")
    assert (pool.ca_tls_container_ref, pool.crl_container_ref) == ("members", "revoked")
    assert (pool.tls_ciphers, pool.tls_versions, pool.alpn_protocols) == ("C", ("TLSv1.3",), ("h2",))


def test_a_second_look_is_whole_only_for_another_generation(database: Database) -> None:
    key = put_load_balancer(database)
    with database.read() as connection:
        first = trees.load(connection, key)
    assert first is not None
    with database.write() as connection:
        connection.execute(update(t.load_balancer).values(confirmed_generation=first.load_balancer.generation))
        connection.execute(update(t.pool).values(name="renamed"))
    with database.read() as connection:
        second = trees.look_again(connection, first)
    assert second is not None
    assert second.load_balancer.confirmed_generation == first.load_balancer.generation
    assert second.pools == first.pools
    with database.write() as connection:
        connection.execute(update(t.load_balancer).values(generation=first.load_balancer.generation + 1))
    with database.read() as connection:
        assert trees.look_again(connection, first) == trees.load(connection, key)
