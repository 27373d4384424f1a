"""Outbox: messages written in the transaction of the decision that they tell, and sent to Kafka afterwards.

At least once: what was sent may be sent again, readers drop what they have seen. Messages of one key keep their order.

Each database has the tables `outbox` and `outbox_logs`, with the same columns everywhere:

    outbox       id, event_id, order_id, topic, city, payload, written_at, sent_at    primary key (order_id, id)
    outbox_logs  city, incarnation        which log (cluster id of Kafka) the messages of a city went to last

Outboxes differ in one thing, how a relay claims rows (`PostgresOutbox.city`), and in what follows from it:

| | orders, payments | dispatch |
|---|---|---|
| who relays | every process, all rows | a city's owner, the rows of its city |
| claim | whole keys, by a lock on the first unsent row | no lock: a second relay of a city repeats messages, no more |
| index of what is unsent | (order_id, id) | (city, id) |
| type of `order_id` | uuid | text: orders are opened under any id |
| city of `outbox_logs` | empty | the relay's |
"""
