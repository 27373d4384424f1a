-- What a city has learned (dispatch.engine.eta.learning, compressed), replaced every few minutes.
create table dispatch.lessons (
    city text primary key,
    epoch bigint not null,
    -- The travel model made of it, where the shard goes by one.
    version text,
    learning bytea not null,
    stored_at timestamptz not null default clock_timestamp()
);

-- Learned travel models by the version that ticks name (dispatch.engine.travel.learned, compressed).
create table dispatch.travel_models (
    city text not null,
    version text not null,
    body bytea not null,
    stored_at timestamptz not null default clock_timestamp(),
    primary key (city, version)
);
create index travel_models_old on dispatch.travel_models (city, stored_at);

-- Every quote of a delivered order against what came: opened, assigned, carried (dispatch.engine.eta.calibration).
create table dispatch.eta_quotes (
    order_id text not null,
    stage text not null,
    city text not null,
    made_ms bigint not null,
    raw_ms bigint not null,
    spread_ms bigint not null,
    predicted_ms bigint not null,
    predicted_p90_ms bigint not null,
    delivered_ms bigint not null,
    recorded_at timestamptz not null default clock_timestamp(),
    primary key (order_id, stage)
);
