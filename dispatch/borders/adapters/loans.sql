-- name: of_borrower
select loan_id, rider::text, returned, free_ms from dispatch.loans
where borrower = $1 and not returned order by loan_id

-- name: of_home
select loan_id, rider::text, returned, free_ms from dispatch.loans
where home = $1 and returned order by loan_id

-- name: give_back
update dispatch.loans set returned = true, free_ms = $2 where loan_id = $1 and not returned

-- name: forget
delete from dispatch.loans where loan_id = $1 and returned
