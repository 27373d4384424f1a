update local_provider.answers set times = times + 1 where key = $1 returning *
