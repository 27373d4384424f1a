lock table {partition} in share row exclusive mode
