-- name: send_letter_of_dispatch
update dispatch.outbox set published_at = null where id = $1 returning id

-- name: send_letter_of_orders
update outbox set sent_at = null where id = $1 and order_id = $2::text::uuid returning id
