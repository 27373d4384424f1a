-- Months whose partition was archived and dropped: written in the transaction that drops it.
create table archived_months (
    month date primary key,
    rows bigint not null,
    -- Where the files are: [{"path": "orders/month=2026-01/city=la-serena/orders_0.parquet", "city": "la-serena", ...}, ...]
    files jsonb not null,
    archived_at timestamptz not null default clock_timestamp()
);
