"""What the marketplaces say over HTTP about the world: sign-in, limits, paging, reports and documents."""
