"""Where idle riders should wait: near demand that history up to now lets expect."""
