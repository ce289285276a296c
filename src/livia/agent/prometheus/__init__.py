"""What a tenant's Prometheus reads at a PROMETHEUS listener: HAProxy's exporter under the names of contract 95, 4.3."""
