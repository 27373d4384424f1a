"""Where riders were: questions about trails, and their way from MongoDB into Parquet."""
