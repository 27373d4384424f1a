-- Tax on items and delivery, within their prices or on top; what was given back; what the customer has to do to pay.
alter table orders
    add column tax_minor bigint not null default 0,
    add column tax_included boolean not null default true,
    add column refunded_minor bigint not null default 0,
    add column action_required jsonb;
