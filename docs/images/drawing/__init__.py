"""Draws a Grafana dashboard without Grafana: the same queries, as one page of HTML and SVG."""
