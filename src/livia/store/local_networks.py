"""Rows of the local network driver: networks, subnets, ports, and the addresses given to ports."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import Connection, RowMapping, delete, func, insert, select, update

from livia.store.tables import local_address, local_network, local_port, local_subnet


def add_network(connection: Connection, *, network_id: str, name: str, mtu: int, now: datetime) -> None:
    """Insert a network. Raises IntegrityError when the name is taken."""
    connection.execute(insert(local_network).values(id=network_id, name=name, mtu=mtu, created_at=now))


def add_subnet(
    connection: Connection, *, subnet_id: str, name: str, network_id: str, cidr: str, gateway: str | None, now: datetime
) -> None:
    """Insert a subnet of a network."""
    connection.execute(
        insert(local_subnet).values(
            id=subnet_id, name=name, network_id=network_id, cidr=cidr, gateway=gateway, created_at=now
        )
    )


def add_port(connection: Connection, values: dict[str, object], addresses: Iterable[tuple[str, str]]) -> None:
    """Insert a port with its (subnet id, address) pairs. Raises IntegrityError when an address is taken."""
    connection.execute(insert(local_port).values(**values))
    for subnet_id, address in addresses:
        connection.execute(insert(local_address).values(subnet_id=subnet_id, ip_address=address, port_id=values["id"]))


def networks(connection: Connection) -> Sequence[RowMapping]:
    """All networks, oldest first."""
    return (
        connection.execute(select(local_network).order_by(local_network.c.created_at, local_network.c.id))
        .mappings()
        .all()
    )


def network(connection: Connection, network_id: str) -> RowMapping | None:
    """One network."""
    return connection.execute(select(local_network).where(local_network.c.id == network_id)).mappings().one_or_none()


def subnets(connection: Connection) -> Sequence[RowMapping]:
    """All subnets, oldest first."""
    return (
        connection.execute(select(local_subnet).order_by(local_subnet.c.created_at, local_subnet.c.id)).mappings().all()
    )


def subnets_of(connection: Connection, network_id: str) -> Sequence[RowMapping]:
    """Subnets of a network, oldest first."""
    return (
        connection.execute(
            select(local_subnet)
            .where(local_subnet.c.network_id == network_id)
            .order_by(local_subnet.c.created_at, local_subnet.c.id)
        )
        .mappings()
        .all()
    )


def subnet(connection: Connection, subnet_id: str) -> RowMapping | None:
    """One subnet, with `used`: the number of addresses given out."""
    used = (
        select(func.count())
        .select_from(local_address)
        .where(local_address.c.subnet_id == local_subnet.c.id)
        .scalar_subquery()
    )
    return (
        connection.execute(select(local_subnet, used.label("used")).where(local_subnet.c.id == subnet_id))
        .mappings()
        .one_or_none()
    )


def used_addresses(connection: Connection, subnet_id: str) -> set[str]:
    """Addresses of a subnet that belong to ports."""
    return set(
        connection.execute(select(local_address.c.ip_address).where(local_address.c.subnet_id == subnet_id)).scalars()
    )


def ports(connection: Connection, **where: str) -> list[tuple[RowMapping, list[RowMapping]]]:
    """Ports whose columns equal `where`, oldest first, each with its address rows."""
    condition = [local_port.c[name] == value for name, value in where.items()]
    rows = connection.execute(select(local_port).where(*condition).order_by(local_port.c.created_at)).mappings().all()
    found = []
    for row in rows:
        addresses = connection.execute(
            select(local_address).where(local_address.c.port_id == row["id"]).order_by(local_address.c.subnet_id)
        )
        found.append((row, list(addresses.mappings())))
    return found


def change_device(connection: Connection, port_id: str, *, before: str, after: str, owner: str) -> bool:
    """Give a port to another device, if it is still `before`'s; '' is nobody."""
    table = local_port
    changed = connection.execute(
        update(table)
        .where(table.c.id == port_id, table.c.device_id == before)
        .values(device_id=after, device_owner=owner)
    )
    return changed.rowcount == 1


def delete_port(connection: Connection, port_id: str) -> None:
    """The port and its addresses are free again."""
    connection.execute(delete(local_address).where(local_address.c.port_id == port_id))
    connection.execute(delete(local_port).where(local_port.c.id == port_id))


def delete_network(connection: Connection, network_id: str) -> None:
    """The network and its subnets go. Raises IntegrityError while ports are on it."""
    connection.execute(delete(local_subnet).where(local_subnet.c.network_id == network_id))
    connection.execute(delete(local_network).where(local_network.c.id == network_id))
