-- How the kitchen stands to an order: settled when it is placed.
alter table orders
    add column auto_accept boolean not null default true,
    -- How long it is reckoned to need; 0: what the restaurant said.
    add column preparation_s integer not null default 0,
    -- When the kitchen said that the food was ready, domain milliseconds; 0 before.
    add column cooked_ms bigint not null default 0;

-- What the screen of a restaurant shows. Few orders are there at a time.
create index orders_in_kitchen on orders (restaurant_id, city) where status in ('AUTHORISED', 'ACCEPTED', 'ASSIGNED');

-- What preparation times are learned from.
create index orders_cooked on orders (restaurant_id, city, created_at) where cooked_ms > 0;

-- What a restaurant chose for itself. A kitchen lives in the database that holds its restaurant_id's shard point.
create table kitchens (
    city text not null,
    restaurant_id text not null,
    auto_accept boolean not null,
    changed_at timestamptz not null default clock_timestamp(),
    primary key (city, restaurant_id)
);
