create table payments (
    order_id uuid primary key,
    status text not null,
    goal text not null,
    amount_minor bigint not null,
    currency text not null,
    -- The provider's token for the customer's means of payment; never a card number.
    token text not null,
    provider_ref text not null,
    -- Version of the last event told.
    version bigint not null,
    -- Inbox: the last version of order.events applied.
    order_seen bigint not null,
    -- Calls to the provider since the last change of status.
    attempts integer not null default 0,
    -- When there is something to do; null when the payment is where it should be.
    due_at timestamptz,
    changed_at timestamptz not null default clock_timestamp()
) with (fillfactor = 75);

create index payments_due on payments (due_at) where due_at is not null;

-- A posting adds to one account what it takes from another, so that all accounts together are always zero.
create table postings (
    -- order_id:action, the key the provider was asked with.
    key text primary key,
    order_id uuid not null references payments,
    debit text not null,
    credit text not null check (credit <> debit),
    amount_minor bigint not null check (amount_minor >= 0),
    currency text not null,
    posted_at timestamptz not null default clock_timestamp()
);

create index postings_by_order on postings (order_id);

create view ledger as
select key, order_id, debit as account, amount_minor, currency, posted_at from postings
union all
select key, order_id, credit, -amount_minor, currency, posted_at from postings;
