"""Orders older than half a year: Parquet files elsewhere, and no rows here. See docs/adr/0017."""
