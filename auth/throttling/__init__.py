"""Throttling of failed attempts."""
