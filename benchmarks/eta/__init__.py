"""ETAs and travel times judged on simulated days whose weather, closures and slow riders nobody is told of."""
