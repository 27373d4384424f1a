insert into archived_months (month, rows, files) values ($1, $2, $3)
