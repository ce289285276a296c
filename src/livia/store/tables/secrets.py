"""The built-in vault, and key material as it is bound to load balancers: ours alone."""

from sqlalchemy import Column, ForeignKey, String, Table

from livia.store.columns import Bytes, Moment, id_column
from livia.store.tables.registry import metadata

#: key material that a load balancer's listeners and pools name, as the data plane is given it; `sealed`: see
#: `livia.core.drivers.Seal`. `name` stands for purpose and reference: MySQL would ignore the case of these.
bound_material = Table(
    "bound_material",
    metadata,
    Column("load_balancer_id", String(36), ForeignKey("load_balancer.id"), primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("purpose", String(16), nullable=False),
    Column("reference", String(255), nullable=False),
    Column("sealed", Bytes, nullable=False),
    Column("bound_at", Moment, nullable=False),
)

#: the built-in vault; `sealed`: nonce and ciphertext of the material
secret = Table(
    "secret",
    metadata,
    id_column(),
    Column("name", String(255), nullable=False),
    Column("project_id", String(36)),
    Column("sealed", Bytes, nullable=False),
    Column("created_at", Moment, nullable=False),
)
