select auto_accept from kitchens where city = $1 and restaurant_id = $2
