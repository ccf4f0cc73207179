"""Grafana dashboards, made from the catalog and written to the repository's dashboards/."""
