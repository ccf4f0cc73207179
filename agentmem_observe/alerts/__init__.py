"""Rules for Prometheus and routing for Alertmanager, made from the catalog and thresholds."""
