"""The daemon's HTTP server: connections are bounded, requests checked, then the app answers."""
