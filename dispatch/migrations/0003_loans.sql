-- Riders lent by one city to its neighbour (docs/adr/0015). A row is written by the tick of the home city that grants the
-- loan, marked as returned by the tick of the borrower that sends the rider home, and removed when the home city has it back.
create table dispatch.loans (
    loan_id text primary key,
    -- A rider is lent once at a time.
    rider_id numeric(20) not null unique,
    home text not null,
    home_epoch bigint not null,
    borrower text not null,
    borrower_epoch bigint not null,
    -- The rider as the home city lent it, the engine's own JSON.
    rider jsonb not null,
    returned boolean not null default false,
    -- When its last job with the borrower ended, domain milliseconds.
    free_ms bigint not null default 0,
    lent_at timestamptz not null default clock_timestamp()
);
create index loans_of_home on dispatch.loans (home);
create index loans_of_borrower on dispatch.loans (borrower) where not returned;
