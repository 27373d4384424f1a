-- name: archived
select month, files from archived_months where month <= $1 order by month desc
