-- The ledger as entries: a posting has two or more of them, which add up to zero.
drop view ledger;

create table ledger (
    -- order_id:action, the key the provider was asked with; a posting has one entry an account.
    key text not null,
    account text not null,
    order_id uuid not null references payments,
    amount_minor bigint not null check (amount_minor <> 0),
    currency text not null,
    posted_at timestamptz not null default clock_timestamp(),
    primary key (key, account)
);

insert into ledger (key, account, order_id, amount_minor, currency, posted_at)
select key, case debit when 'revenue' then 'food' else debit end, order_id, amount_minor, currency, posted_at
from postings where amount_minor > 0
union all
select key, case credit when 'revenue' then 'food' else credit end, order_id, -amount_minor, currency, posted_at
from postings where amount_minor > 0;

drop table postings;

create index ledger_by_order on ledger (order_id);

-- Every statement that writes to the ledger writes whole postings: whatever the code does, all accounts together are zero.
create function ledger_is_balanced() returns trigger language plpgsql as $$
declare
    wrong text;
begin
    select key into wrong from written group by key having sum(amount_minor) <> 0 or min(currency) <> max(currency) limit 1;
    if found then
        raise exception 'posting % does not add up to zero in one currency', wrong using errcode = 'check_violation';
    end if;
    return null;
end
$$;

create trigger ledger_is_balanced after insert on ledger
referencing new table as written for each statement execute function ledger_is_balanced();

create function ledger_is_append_only() returns trigger language plpgsql as $$
begin
    raise exception 'the ledger is never changed: post the contrary' using errcode = 'check_violation';
end
$$;

create trigger ledger_is_append_only before update or delete on ledger
for each statement execute function ledger_is_append_only();

-- What the amount is made of, each without tax; what was given back.
alter table payments
    add column food_minor bigint not null default 0,
    add column delivery_minor bigint not null default 0,
    add column tip_minor bigint not null default 0,
    add column tax_minor bigint not null default 0,
    add column refunded_minor bigint not null default 0,
    add constraint never_more_refunded_than_captured check (refunded_minor between 0 and amount_minor);

update payments set food_minor = amount_minor;

create table refunds (
    order_id uuid not null references payments,
    -- The caller's.
    key text not null,
    amount_minor bigint not null check (amount_minor > 0),
    reason text not null,
    status text not null check (status in ('PENDING', 'DONE', 'REFUSED')),
    -- The provider's word, where it refused.
    refusal text not null default '',
    asked_at timestamptz not null default clock_timestamp(),
    primary key (order_id, key)
);

create index refunds_pending on refunds (order_id, asked_at) where status = 'PENDING';

-- Events of the provider that were heard: one that comes again changes nothing.
create table provider_events (
    event_id text primary key,
    kind text not null,
    heard_at timestamptz not null default clock_timestamp()
);

create index provider_events_by_age on provider_events using brin (heard_at);

-- The local provider gives back in parts, and may wait for the customer.
alter table local_provider.charges
    add column refunded_minor bigint not null default 0 check (refunded_minor between 0 and amount_minor),
    add column made_at timestamptz not null default clock_timestamp(),
    drop constraint charges_state_check,
    add constraint charges_state_check
        check (state in ('WAITING', 'HELD', 'CAPTURED', 'VOIDED', 'REFUNDED', 'REFUSED'));
