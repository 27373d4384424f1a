-- Why a tick left the stops of all plans in their order; empty where the search answered, null for ticks of before.
alter table dispatch.ticks add column stops_fallback text;
