"""Systems called the shortest way, without this project's adapters: what overhead is against."""
