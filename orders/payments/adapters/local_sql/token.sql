select token from local_provider.charges where provider_ref = $1
