"""Constant traffic of four kinds through one load balancer, and every kind of change that the API offers meanwhile."""
