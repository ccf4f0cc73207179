"""Result files: their schema, the directory that holds them, and comparing them."""
