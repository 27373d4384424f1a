"""Trails: where riders were; stored in MongoDB, archived in Parquet."""
