"""Whole servers under load, each in a process of its own on one core, the load generator on another."""
