"""What can be promised of an erasure, and what it will cost: certificates and forecasts."""
