insert into outbox (event_id, order_id, topic, city, payload) values ($1, $2, $3, $4, $5)
