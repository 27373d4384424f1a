"""Payments: `python -m orders.payments.main`."""

from __future__ import annotations

import sys

from node import kafka, postgres, set_aside
from node.lifecycle import Node, run
from node.outbox.postgres import PostgresOutbox
from node.outbox.publisher import KafkaPublisher
from node.outbox.relay import Relay
from node.rpc import Server
from node.settings import load
from orders.payments.adapters.listener import listener
from orders.payments.adapters.local import LocalProvider
from orders.payments.adapters.postgres import SCHEMAS, PostgresPayments
from orders.payments.config import PaymentsSettings
from orders.payments.grpc_api import SERVICE, PaymentsApi
from orders.payments.payment_worker import PaymentWorker
from orders.payments.ports import PaymentProvider
from orders.payments.upkeep import PaymentUpkeep
from proto.payments.v1.payments_pb2_grpc import add_PaymentsServicer_to_server
from proto.topics import ORDER_EVENTS


async def boot(node: Node, settings: PaymentsSettings) -> None:
    """Puts the parts together: the payments, their relay, the provider and the worker, the listener, gRPC."""
    clock, log = settings.clock(), node.log
    url = settings.database(settings.payments_database)
    for schema in SCHEMAS:
        await postgres.migrate(url, schema.package, schema.folder)
    pool = await postgres.connect(url, max_size=12)
    node.on_stop("postgres", pool.close)

    producer = kafka.producer(settings.kafka_url)
    await producer.start()
    node.on_stop("producer", producer.stop)
    identity = kafka.LogIdentity(settings.kafka_url)
    node.on_stop("log identity", identity.close)
    # A connection of its own: the relay keeps it for as long as Kafka takes.
    relaying = await postgres.connect(url, max_size=1)
    node.on_stop("postgres of the relay", relaying.close)
    relay = Relay(PostgresOutbox(relaying), KafkaPublisher(producer, identity), log)
    payments = PostgresPayments(pool, clock, relay.wake)
    node.start("relay", relay.run())

    worker = PaymentWorker(payments, await _provider(node, settings), clock, log)
    node.start("worker", worker.run())
    node.start("upkeep", PaymentUpkeep(payments, log).run())
    if settings.payment_provider == "stripe" and settings.stripe_webhook_listen:
        from node.http_server import HttpServer
        from orders.payments.adapters.webhooks import StripeWebhooks

        webhooks = StripeWebhooks(payments, settings.stripe_webhook_secret.get_secret_value(), worker.wake, log)
        host, _, port = settings.stripe_webhook_listen.rpartition(":")
        node.start("webhooks", HttpServer(webhooks.app(), host, int(port)).run())
    node.start("notices", worker.follow_notices())
    node.start("overdue", worker.measure_overdue())

    instructions = listener(payments, worker.wake, set_aside.into(pool, "payments"), log)
    node.start("listener", instructions.run(settings.kafka_url, (ORDER_EVENTS.name,), pool))

    api = PaymentsApi(payments, worker.wake)
    server = Server(settings.listen, [SERVICE], [lambda grpc_server: add_PaymentsServicer_to_server(api, grpc_server)])
    node.on_stop("grpc", server.stop)
    await server.start()


async def _provider(node: Node, settings: PaymentsSettings) -> PaymentProvider:
    if settings.payment_provider == "stripe":
        # A library that only those load who use it.
        from orders.payments.adapters.stripe import StripeProvider

        key = settings.stripe_api_key.get_secret_value()
        stripe = StripeProvider(key, settings.stripe_api_url, settings.clock())
        node.on_stop("provider", stripe.close)
        return stripe
    # A provider elsewhere has connections of its own: so has the local one.
    pool = await postgres.connect(settings.database(settings.payments_database), max_size=8)
    node.on_stop("provider", pool.close)
    return LocalProvider(pool, settings.payments_seed)


def main() -> int:
    """Runs the service."""
    settings = load(PaymentsSettings)
    if missing := settings.missing():
        print(f"{', '.join(missing)}: needed for FORNO_PAYMENT_PROVIDER=stripe", file=sys.stderr)
        return 2
    return run("payments", settings, lambda node: boot(node, settings))


if __name__ == "__main__":
    sys.exit(main())
