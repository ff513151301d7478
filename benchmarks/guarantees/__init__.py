"""Certificates and forecasts against what pictures show."""
