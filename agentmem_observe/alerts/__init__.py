"""Prometheus rules and Alertmanager routes, made from the catalog, written below deploy/."""
