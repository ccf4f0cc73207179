"""One self-contained HTML page that says what some results are worth, and shows them."""
