-- name: on_disk
select pg_current_wal_flush_lsn()::text

-- name: replayed
select pg_is_in_recovery() and pg_last_wal_replay_lsn() >= $1::text::pg_lsn
