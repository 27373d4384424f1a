update local_provider.charges set state = $3 where provider_ref = $1 and state = $2 returning token
