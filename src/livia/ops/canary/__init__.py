"""A load balancer that is made, used, failed over and deleted to see whether that can be done."""
