-- Stuck orders whose events were sent once more: how often, and until when they are left alone.
create table told_again (
    order_id uuid primary key,
    times integer not null,
    next_at timestamptz not null
);
