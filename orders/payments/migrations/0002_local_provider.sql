-- The books of the local provider. It stands in for a company elsewhere: payments never reads these tables, and no
-- transaction spans both.
create schema local_provider;

-- What it was asked, by idempotency key, and what it answered.
create table local_provider.answers (
    key text primary key,
    approved boolean not null,
    provider_ref text not null,
    reason text not null,
    amount_minor bigint not null,
    currency text not null,
    times integer not null default 1
);

-- The money it holds or took.
create table local_provider.charges (
    provider_ref text primary key,
    token text not null,
    amount_minor bigint not null,
    currency text not null,
    state text not null check (state in ('HELD', 'CAPTURED', 'VOIDED', 'REFUNDED'))
);
