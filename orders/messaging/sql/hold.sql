insert into inbox_held (source, order_id, version, payload) values ($1, $2, $3, $4) on conflict do nothing
