-- name: send_again
update outbox set sent_at = null where id = $1 and order_id = $2 returning id
