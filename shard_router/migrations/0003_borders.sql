-- Borders of cities that were published after the catalogue that ships; the newest of a city holds, all are kept.
create table router.borders (
    version bigint generated always as identity primary key,
    city text not null,
    -- GeoJSON feature, as in shard_router/cities/cities.geojson.
    feature jsonb not null,
    actor text not null default '',
    published_at timestamptz not null default clock_timestamp()
);
create index borders_of_city on router.borders (city, version desc);
