"""What `forno db` applies."""

from __future__ import annotations

from deploy.database.plan import databases
from node.postgres import number_of
from orders.config import OrdersSettings
from orders.payments.config import PaymentsSettings


def test_every_schema_has_its_migrations() -> None:
    """Numbered from 1 without a gap: a folder that moved away would make an empty database, and say nothing."""
    for database in databases(OrdersSettings(), PaymentsSettings()):
        for schema in database.schemas:
            numbers = [number_of(file) for file in schema.files]
            assert numbers == list(range(1, len(numbers) + 1)) != [], f"{database.name}: {schema}"
